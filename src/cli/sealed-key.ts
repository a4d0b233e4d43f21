import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys';
import type { PrivateKey } from '@libp2p/interface';
import { z } from 'zod';
import { InvalidInputError } from '../../protocols/errors.ts';
import { peerIdText } from '../swarm/identity.ts';

/** Bytes of the text of a sealed key; one has some 450. */
export const MAX_SEALED_KEY_BYTES = 4096;

/** Bytes of a passphrase. */
export const MAX_PASSPHRASE_BYTES = 1024;

/** Fewer UTF-16 units are guessed by trying, whatever scrypt costs. */
export const MIN_PASSPHRASE_CHARACTERS = 8;

/**
 * 128 MiB and about half a second a guess.
 *
 * @see https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#scrypt
 */
const SCRYPT = { n: 2 ** 17, r: 8, p: 1 } as const;

const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

const base64 = z.base64().transform((text) => Buffer.from(text, 'base64'));

/** docs/keys.md describes it. Costs above ours are refused: a file must not make this machine run out of memory. */
const sealedSchema = z.strictObject({
  format: z.literal('gpu-swarm-key'),
  version: z.literal(1),
  publisher: z.string().max(80),
  kdf: z.strictObject({
    name: z.literal('scrypt'),
    n: z.literal(SCRYPT.n),
    r: z.literal(SCRYPT.r),
    p: z.literal(SCRYPT.p),
    salt: base64.refine((bytes) => bytes.byteLength === SALT_BYTES),
  }),
  cipher: z.strictObject({
    name: z.literal('aes-256-gcm'),
    nonce: base64.refine((bytes) => bytes.byteLength === NONCE_BYTES),
  }),
  key: base64.refine((bytes) => bytes.byteLength > TAG_BYTES && bytes.byteLength < 1024),
});

/**
 * A key as text that only its passphrase opens.
 *
 * @throws {ERR_INVALID_INPUT} when the passphrase is shorter than {@link MIN_PASSPHRASE_CHARACTERS}.
 */
export async function sealKey(key: PrivateKey, passphrase: string): Promise<string> {
  checkPassphrase(passphrase);
  const publisher = peerIdText(key);
  const salt = randomBytes(SALT_BYTES);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', await derive(passphrase, salt), nonce);
  cipher.setAAD(authenticated(publisher));
  const sealed = [cipher.update(privateKeyToProtobuf(key)), cipher.final(), cipher.getAuthTag()];
  const text = {
    format: 'gpu-swarm-key',
    version: 1,
    publisher,
    kdf: { name: 'scrypt', ...SCRYPT, salt: salt.toString('base64') },
    cipher: { name: 'aes-256-gcm', nonce: nonce.toString('base64') },
    key: Buffer.concat(sealed).toString('base64'),
  };
  return `${JSON.stringify(text, null, 2)}\n`;
}

/**
 * The key that {@link sealKey} sealed.
 *
 * @throws {ERR_INVALID_INPUT} when the text is no sealed key, or the passphrase does not open it.
 */
export async function openSealedKey(text: string, passphrase: string): Promise<PrivateKey> {
  const { publisher, kdf, cipher, key: sealed } = parse(text);
  const secret = await derive(passphrase, kdf.salt);
  const decipher = createDecipheriv('aes-256-gcm', secret, cipher.nonce, {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(authenticated(publisher));
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  let bytes: Buffer;
  try {
    bytes = Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()]);
  } catch (cause) {
    throw new InvalidInputError(
      `sealed key of ${publisher} does not open: the passphrase is another, or the text was changed`,
      { cause },
    );
  }
  const key = privateKeyFromProtobuf(bytes);
  if (key.type === 'Ed25519' && peerIdText(key) === publisher) return key;
  throw new InvalidInputError(
    `sealed key holds that of ${peerIdText(key)}, expected ${publisher}, an Ed25519 key`,
  );
}

function parse(text: string): z.infer<typeof sealedSchema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new InvalidInputError('sealed key is not JSON', { cause });
  }
  const parsed = sealedSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new InvalidInputError(
    `sealed key has a wrong field '${issue?.path.join('.') ?? ''}': ${issue?.message ?? 'invalid'}, expected format gpu-swarm-key, version 1`,
  );
}

function checkPassphrase(passphrase: string): void {
  const { length } = passphrase;
  if (length >= MIN_PASSPHRASE_CHARACTERS) return;
  throw new InvalidInputError(
    `passphrase has ${length} characters, expected at least ${MIN_PASSPHRASE_CHARACTERS}`,
  );
}

/** Whose key it is may be read without the passphrase, so it must not be changed without it either. */
function authenticated(publisher: string): Buffer {
  return Buffer.from(`gpu-swarm-key 1 ${publisher}`);
}

/** Off this thread: it takes half a second. Composed, so that one passphrase is the same from any keyboard. */
async function derive(passphrase: string, salt: Uint8Array): Promise<Buffer> {
  const { n, r, p } = SCRYPT;
  return new Promise((resolve, reject) => {
    const options = { N: n, r, p, maxmem: 256 * 1024 * 1024 };
    scrypt(passphrase.normalize('NFC'), salt, 32, options, (error, secret) => {
      if (error === null) resolve(secret);
      else reject(error);
    });
  });
}
