import * as dagCbor from '@ipld/dag-cbor';
import type { PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id';
import { InvalidRecordError, LimitError } from '../errors.ts';

/** What distinguishes one kind of signed bytes from another, so that a signature of one never passes for the other. */
export type SignatureDomain = `gpu-swarm:${string}:1`;

/** Bytes and who signed them; the key travels inside the peer id, so nothing else is needed to check it. */
export interface SignedEnvelope {
  /** Base58 peer id of the Ed25519 key that signed. */
  readonly signer: string;
  readonly payload: Uint8Array;
}

const text = new TextEncoder();

/** Signs a payload: dag-cbor `[signer, payload, signature]`, the signature over the domain, a NUL and the payload. */
export async function signEnvelope(
  domain: SignatureDomain,
  payload: Uint8Array,
  key: PrivateKey,
): Promise<Uint8Array> {
  const signature = await key.sign(signedBytes(domain, payload));
  return dagCbor.encode([peerIdFromPrivateKey(key).toString(), payload, signature]);
}

/**
 * Opens a signed envelope: size, then form, then key, then signature.
 *
 * @throws {ERR_LIMIT} when it is larger than `maxBytes`.
 * @throws {ERR_INVALID_RECORD} when it is malformed, its signer is no Ed25519 peer id, or the signature does not match.
 */
export async function openEnvelope(
  domain: SignatureDomain,
  bytes: Uint8Array,
  maxBytes: number,
): Promise<SignedEnvelope> {
  if (bytes.byteLength > maxBytes) {
    throw new LimitError(
      `${domain} record has ${bytes.byteLength} bytes, expected at most ${maxBytes}`,
    );
  }
  const { signer, payload, signature } = decodeParts(domain, bytes);
  const key = publicKeyOf(domain, signer);
  if (!(await key.verify(signedBytes(domain, payload), signature))) {
    throw new InvalidRecordError(`${domain} record has a signature that is not by ${signer}`);
  }
  return { signer, payload };
}

function decodeParts(
  domain: SignatureDomain,
  bytes: Uint8Array,
): SignedEnvelope & { signature: Uint8Array } {
  let parts: unknown;
  try {
    parts = dagCbor.decode(bytes);
  } catch (cause) {
    throw new InvalidRecordError(`${domain} record is not dag-cbor`, { cause });
  }
  if (Array.isArray(parts) && parts.length === 3) {
    const [signer, payload, signature] = parts as unknown[];
    if (
      typeof signer === 'string' &&
      payload instanceof Uint8Array &&
      signature instanceof Uint8Array
    ) {
      return { signer, payload, signature };
    }
  }
  throw new InvalidRecordError(
    `${domain} record has a wrong form, expected [signer, payload, signature]`,
  );
}

function publicKeyOf(domain: SignatureDomain, signer: string) {
  try {
    const peer = peerIdFromString(signer);
    if (peer.type === 'Ed25519') return peer.publicKey;
  } catch (cause) {
    throw new InvalidRecordError(`${domain} record names a signer that is no peer id`, { cause });
  }
  throw new InvalidRecordError(`${domain} record names a signer that is no Ed25519 peer id`);
}

function signedBytes(domain: SignatureDomain, payload: Uint8Array): Uint8Array {
  const prefix = text.encode(`${domain}\0`);
  const out = new Uint8Array(prefix.byteLength + payload.byteLength);
  out.set(prefix);
  out.set(payload, prefix.byteLength);
  return out;
}
