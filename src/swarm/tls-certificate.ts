import { KeyObject, randomBytes } from 'node:crypto';
import { publicKeyToProtobuf } from '@libp2p/crypto/keys';
import type { PrivateKey } from '@libp2p/interface';

/** Certificate and key in PEM. */
export interface TlsCertificate {
  readonly cert: string;
  readonly key: string;
}

/** The extension that says whose certificate it is. */
const PEER_KEY_EXTENSION = '1.3.6.1.4.1.53594.1.1';

/** What the peer's key signs, before the certificate's own key. */
const SIGNED_PREFIX = Buffer.from('libp2p-tls-handshake:');

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/**
 * Valid by any clock. Peers check that theirs is between the two, but what a certificate proves, that its key and the peer's are in one
 * hand, has no time: a machine whose clock is off, or not yet set, would be refused by all others and refuse them.
 */
const NOT_BEFORE = new Date('1970-01-01T00:00:00Z');
/** What stands for "never" in certificates. @see https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.5 */
const NOT_AFTER = new Date('9999-12-31T23:59:59Z');

/**
 * Makes a certificate of libp2p's TLS: self-signed, with a signature by the peer's key over its own.
 *
 * @see https://github.com/libp2p/specs/blob/master/tls/tls.md
 */
export async function createCertificate(privateKey: PrivateKey): Promise<TlsCertificate> {
  // What the certificate library reads its own types by; it must come first.
  await import('reflect-metadata');
  const [{ Extension, X509CertificateGenerator }, { OctetString, Sequence }] = await Promise.all([
    import('@peculiar/x509'),
    import('asn1js'),
  ]);
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const ownKey = await crypto.subtle.exportKey('spki', keys.publicKey);
  const signature = await privateKey.sign(Buffer.concat([SIGNED_PREFIX, Buffer.from(ownKey)]));
  const signedKey = new Sequence({
    value: [
      new OctetString({ valueHex: publicKeyToProtobuf(privateKey.publicKey) }),
      new OctetString({ valueHex: signature }),
    ],
  });
  const init = {
    serialNumber: createSerialNumber(),
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [new Extension(PEER_KEY_EXTENSION, true, signedKey.toBER())],
  };
  const certificate = await X509CertificateGenerator.createSelfSigned(init, crypto);
  const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' });
  return { cert: certificate.toString('pem'), key: String(key) };
}

/** Sixteen digits of hexadecimal, positive and of no shorter form. */
function createSerialNumber(): string {
  const bytes = randomBytes(8);
  bytes[0] = 1 + ((bytes[0] ?? 0) % 0x7f);
  return bytes.toString('hex');
}

/**
 * A peer's one certificate: its extension signs its own key, not a connection, and TLS 1.3 makes the keys of each connection anew.
 * Making one takes 10 ms.
 */
export class PeerCertificate {
  readonly #privateKey: PrivateKey;
  readonly #create: typeof createCertificate;
  #made: Promise<TlsCertificate> | undefined;

  constructor(privateKey: PrivateKey, create = createCertificate) {
    this.#privateKey = privateKey;
    this.#create = create;
  }

  /** The certificate, which the first call makes. Rejects when it cannot be made; the next call tries again. */
  async get(): Promise<TlsCertificate> {
    this.#made ??= this.#create(this.#privateKey);
    const made = this.#made;
    try {
      return await made;
    } catch (error) {
      if (this.#made === made) this.#made = undefined;
      throw error;
    }
  }
}
