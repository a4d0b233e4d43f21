import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import {
  InvalidModelError,
  NotFoundError,
  StoreError,
  type SwarmError,
} from '../../protocols/errors.ts';

/** Bytes that can be read at any place: a file too large for memory, or memory itself. */
export interface ByteSource {
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset`. The caller owns the array and must not write into it: it may be a view.
   *
   * @throws {ERR_INVALID_MODEL} when the source ends before them
   */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** An open file; whoever opened it closes it. */
export interface FileSource extends ByteSource, AsyncDisposable {
  readonly path: string;
  close(): Promise<void>;
}

export function memorySource(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.length,
    read(offset, length) {
      if (offset < 0 || length < 0 || offset + length > bytes.length) {
        return Promise.reject(endedEarly('the buffer', offset + length, bytes.length));
      }
      return Promise.resolve(bytes.subarray(offset, offset + length));
    },
  };
}

/**
 * Opens a regular file for reading.
 *
 * @throws {ERR_NOT_FOUND} when nothing is there
 * @throws {ERR_INVALID_MODEL} when it is a directory, pipe or device
 * @throws {ERR_STORE} when the operating system refuses
 */
export async function openFileSource(path: string): Promise<FileSource> {
  let handle: FileHandle;
  try {
    // Without O_NONBLOCK the open of a named pipe holds a thread of libuv's pool until somebody writes.
    handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    throw openFailure(path, error);
  }
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) {
      throw new InvalidModelError(`'${path}' is not a regular file`, { details: { path } });
    }
    return new OpenFile(path, stat.size, handle);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

class OpenFile implements FileSource {
  readonly path: string;
  readonly size: number;
  readonly #handle: FileHandle;

  constructor(path: string, size: number, handle: FileHandle) {
    this.path = path;
    this.size = size;
    this.#handle = handle;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = Buffer.allocUnsafeSlow(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await this.#handle.read(
        bytes,
        filled,
        length - filled,
        offset + filled,
      );
      if (bytesRead === 0) {
        throw endedEarly(`'${this.path}'`, offset + length, offset + filled);
      }
      filled += bytesRead;
    }
    return bytes;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function endedEarly(what: string, expectedBytes: number, foundBytes: number): InvalidModelError {
  return new InvalidModelError(
    `Read to byte ${expectedBytes} of ${what}, which ends at byte ${foundBytes}: did it change meanwhile?`,
    { details: { expectedBytes, foundBytes } },
  );
}

function openFailure(path: string, cause: unknown): SwarmError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  const options = { cause, details: { path } };
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new NotFoundError(`File '${path}' does not exist`, options);
  }
  return new StoreError(`File '${path}' cannot be opened: ${String(code ?? cause)}`, options);
}
