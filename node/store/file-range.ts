import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { failureCode } from './store-failure.ts';

/** Bytes read at once while a file is hashed: one hash step of them holds the event loop for a millisecond at most. */
const HASH_STEP_BYTES = 1024 * 1024;

/** Opens a file to read and write, making it when missing, without touching what it holds. */
export const READ_WRITE_CREATE = constants.O_RDWR | constants.O_CREAT;

/** A `Buffer` as what it is declared to be: its `slice` shares memory and its JSON is an object. */
export function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Fills a buffer from a place in a file; false when the file ends before. */
export async function readFully(
  handle: FileHandle,
  into: Uint8Array,
  offset: number,
): Promise<boolean> {
  let filled = 0;
  while (filled < into.byteLength) {
    const left = into.byteLength - filled;
    const { bytesRead } = await handle.read(into, filled, left, offset + filled);
    if (bytesRead === 0) return false;
    filled += bytesRead;
  }
  return true;
}

/** A range of a file; undefined when the file is not there or ends before the range does. */
export async function readRange(
  file: string,
  offset: number,
  size: number,
): Promise<Uint8Array | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(file, 'r');
  } catch (error) {
    if (failureCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const bytes = new Uint8Array(size);
    return (await readFully(handle, bytes, offset)) ? bytes : undefined;
  } finally {
    await handle.close();
  }
}

/** Writes a range of a file, which is made when missing and grows as far as needed. */
export async function writeRange(file: string, offset: number, bytes: Uint8Array): Promise<void> {
  const handle = await open(file, READ_WRITE_CREATE);
  try {
    let written = 0;
    while (written < bytes.byteLength) {
      const left = bytes.byteLength - written;
      const { bytesWritten } = await handle.write(bytes, written, left, offset + written);
      written += bytesWritten;
    }
  } finally {
    await handle.close();
  }
}

/**
 * The sha256 of a whole file, of which one step at a time is in memory.
 *
 * @param checkpoint Called before every step; what it throws ends the work.
 */
export async function hashFile(
  handle: FileHandle,
  checkpoint: () => void = () => undefined,
): Promise<Uint8Array> {
  const hash = createHash('sha256');
  const step = new Uint8Array(HASH_STEP_BYTES);
  for (let offset = 0; ; ) {
    checkpoint();
    const { bytesRead } = await handle.read(step, 0, step.byteLength, offset);
    if (bytesRead === 0) return new Uint8Array(hash.digest());
    hash.update(step.subarray(0, bytesRead));
    offset += bytesRead;
  }
}
