import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import {
  InvalidInputError,
  isSwarmError,
  LimitError,
  NotFoundError,
  StoreError,
} from '../../protocols/errors.ts';

export interface BoundedReadOptions {
  /** What the bytes are, for the message: `request file seven.json`. */
  readonly what: string;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/**
 * Reads a file, a pipe or a device to its end, and stops at the bound however much follows.
 *
 * @throws {ERR_NOT_FOUND} when there is no such file. {ERR_LIMIT} when there is more than `maxBytes`.
 * @throws {ERR_INVALID_INPUT} when it is a folder. {ERR_STORE} when it cannot be read.
 */
export async function readBoundedFile(file: string, options: BoundedReadOptions): Promise<Buffer> {
  const { what, signal } = options;
  try {
    return await readBounded(createReadStream(file, { signal }), options);
  } catch (cause) {
    signal.throwIfAborted();
    switch (codeOf(cause)) {
      case 'ENOENT':
      case 'ENOTDIR':
        throw new NotFoundError(`${what} does not exist`, { cause });
      case 'EISDIR':
        throw new InvalidInputError(`${what} is a folder, expected a file`, { cause });
      case 'ERR_LIMIT':
        throw cause;
      default:
        throw new StoreError(`${what} cannot be read: ${String(codeOf(cause) ?? cause)}`, {
          cause,
        });
    }
  }
}

/**
 * Reads a stream to its end.
 *
 * @throws {ERR_LIMIT} when it has more than `maxBytes`; what follows is not read.
 */
export async function readBounded(
  stream: AsyncIterable<Uint8Array | string>,
  { what, maxBytes, signal }: BoundedReadOptions,
): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let total = 0;
  for await (const part of stream) {
    signal.throwIfAborted();
    const bytes = typeof part === 'string' ? Buffer.from(part) : part;
    total += bytes.byteLength;
    if (total > maxBytes) {
      throw new LimitError(`${what} has more than ${maxBytes} bytes, expected at most that many`);
    }
    parts.push(bytes);
  }
  return Buffer.concat(parts, total);
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

/**
 * The text that was read.
 *
 * @throws {ERR_INVALID_INPUT} when it is not UTF-8: decoding would make other text of it, with U+FFFD for what is none.
 */
export function decodeText(bytes: Uint8Array, what: string): string {
  if (!isUtf8(bytes)) throw new InvalidInputError(`${what} is not UTF-8`);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

/**
 * Reads what a file says: `parse` of a library knows only what is wrong, not in which file.
 *
 * @throws {ERR_INVALID_INPUT} as `parse` does, its message after `what`.
 */
export function parseContents<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!isSwarmError(cause) || cause.code !== 'ERR_INVALID_INPUT') throw cause;
    throw new InvalidInputError(`${what}: ${cause.message}`, { cause, details: cause.details });
  }
}
