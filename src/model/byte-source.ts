import { type BigIntStats, constants } from 'node:fs';
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
  /**
   * Resolves when nobody wrote to the file since it was opened, as far as its size and modification time tell.
   *
   * @throws {ERR_INVALID_MODEL} when somebody did
   */
  checkUnchanged(): Promise<void>;
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
    const stat = await handle.stat({ bigint: true });
    if (!stat.isFile()) {
      throw new InvalidModelError(`'${path}' is not a regular file`, { details: { path } });
    }
    return new OpenFile(path, stat, handle);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

class OpenFile implements FileSource {
  readonly path: string;
  readonly size: number;
  readonly #handle: FileHandle;
  readonly #modifiedNs: bigint;

  constructor(path: string, stat: BigIntStats, handle: FileHandle) {
    this.path = path;
    this.size = Number(stat.size);
    this.#modifiedNs = stat.mtimeNs;
    this.#handle = handle;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = Buffer.allocUnsafeSlow(length);
    let filled = 0;
    while (filled < length) {
      const bytesRead = await this.#readSome(bytes, filled, offset + filled);
      if (bytesRead === 0) {
        throw endedEarly(`'${this.path}'`, offset + length, offset + filled);
      }
      filled += bytesRead;
    }
    return bytes;
  }

  async #readSome(bytes: Uint8Array, filled: number, position: number): Promise<number> {
    try {
      const read = await this.#handle.read(bytes, filled, bytes.byteLength - filled, position);
      return read.bytesRead;
    } catch (cause) {
      throw new StoreError(`File '${this.path}' cannot be read: ${systemCode(cause)}`, {
        cause,
        details: { path: this.path },
      });
    }
  }

  async checkUnchanged(): Promise<void> {
    const { size, mtimeNs } = await this.#handle.stat({ bigint: true });
    if (Number(size) === this.size && mtimeNs === this.#modifiedNs) return;
    throw new InvalidModelError(
      `'${this.path}' changed meanwhile: it had ${this.size} bytes, now ${size}`,
      { details: { path: this.path } },
    );
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
  const code = systemCode(cause);
  const options = { cause, details: { path } };
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new NotFoundError(`File '${path}' does not exist`, options);
  }
  return new StoreError(`File '${path}' cannot be opened: ${code}`, options);
}

/** The operating system's word for a failure, such as `EACCES`. */
function systemCode(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
}
