import { open } from 'node:fs/promises';
import path from 'node:path';
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys';
import type { Ed25519PrivateKey, PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { StoreError } from '../../protocols/errors.ts';
import { ensureFolder } from '../model/ensured-folder.ts';
import { createDurably } from './durable-file.ts';

/** Bytes of an Ed25519 private key in libp2p's protobuf form are 68; anything near this is no key. */
const MAX_KEY_BYTES = 1024;

export interface LoadKeyOptions {
  /** Hears that other users of the machine can read the key. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/**
 * The Ed25519 key in a file, in libp2p's protobuf form; made, readable by its owner alone, when there is no such file.
 *
 * @throws {ERR_STORE} when the file cannot be read or written, or holds no Ed25519 key: it is never replaced.
 */
export async function loadOrCreateKey(
  file: string,
  options: LoadKeyOptions = {},
): Promise<Ed25519PrivateKey> {
  const kept = await loadKey(file, options);
  if (kept !== undefined) return kept;
  const key = await generateKeyPair('Ed25519');
  // Another process may have made one in the same moment: both must go by the same.
  return (await createKeyFile(file, key)) ? key : loadOrCreateKey(file, options);
}

/**
 * The Ed25519 key in a file; undefined when there is no such file.
 *
 * @throws {ERR_STORE} when the file cannot be read, or holds no Ed25519 key.
 */
export async function loadKey(
  file: string,
  options: LoadKeyOptions = {},
): Promise<Ed25519PrivateKey | undefined> {
  const bytes = await readKey(file, options);
  return bytes === undefined ? undefined : parseKey(file, bytes);
}

/**
 * Writes a key, readable by its owner alone, over power loss; false when there is such a file, which then stays.
 *
 * @throws {ERR_STORE} when it cannot be written.
 */
export async function createKeyFile(file: string, key: PrivateKey): Promise<boolean> {
  await ensureFolder(path.dirname(file), 0o700);
  try {
    return await createDurably(file, privateKeyToProtobuf(key), 0o600);
  } catch (cause) {
    throw new StoreError(`key file ${file} cannot be written: ${reason(cause)}`, { cause });
  }
}

/** The peer id of a key, in base58 text: the id of a node, a publisher or an owner. */
export function peerIdText(key: PrivateKey): string {
  return peerIdFromPrivateKey(key).toString();
}

async function readKey(file: string, options: LoadKeyOptions): Promise<Uint8Array | undefined> {
  try {
    await using handle = await open(file, 'r');
    const { mode, size } = await handle.stat();
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      options.onWarning?.(
        `key file ${file} can be read by other users (mode ${(mode & 0o777).toString(8)}, expected 600): run chmod 600 ${file}`,
      );
    }
    if (size > MAX_KEY_BYTES) {
      throw new StoreError(`key file ${file} has ${size} bytes, expected a key of 68`);
    }
    return await handle.readFile();
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw new StoreError(`key file ${file} cannot be read: ${reason(cause)}`, { cause });
  }
}

function parseKey(file: string, bytes: Uint8Array): Ed25519PrivateKey {
  let key: PrivateKey;
  try {
    key = privateKeyFromProtobuf(bytes);
  } catch (cause) {
    throw damaged(file, bytes, cause);
  }
  if (key.type === 'Ed25519') return key;
  throw new StoreError(`key file ${file} holds a ${key.type} key, expected Ed25519`);
}

function damaged(file: string, bytes: Uint8Array, cause: unknown): StoreError {
  return new StoreError(
    `key file ${file} is damaged: its ${bytes.byteLength} bytes are not an Ed25519 key. Restore it from a backup; without it, remove the file and a new identity is made`,
    { cause },
  );
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function reason(error: unknown): string {
  return String(codeOf(error) ?? error);
}
