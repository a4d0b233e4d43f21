import { InvalidMessageError } from '../errors.ts';
import { asBuffer } from './frame.ts';

/** Reads what a {@link ByteWriter} wrote, from bytes that a stranger sent. */
export class ByteReader {
  readonly #bytes: Buffer;
  readonly #what: string;
  #offset = 0;

  /** @param what names the message in errors. */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = asBuffer(bytes);
    this.#what = what;
  }

  /** Bytes not read yet. */
  get left(): number {
    return this.#bytes.byteLength - this.#offset;
  }

  /** Bytes read so far. */
  get offset(): number {
    return this.#offset;
  }

  /** Passes over these very bytes if they are the next; false, and nothing is read, if they are not. */
  skip(expected: Uint8Array): boolean {
    const { byteLength } = expected;
    if (byteLength > this.left) return false;
    for (let index = 0; index < byteLength; index += 1) {
      if (this.#bytes[this.#offset + index] !== expected[index]) return false;
    }
    this.#offset += byteLength;
    return true;
  }

  /** A copy of what was read from an offset up to here. */
  readSince(offset: number): Uint8Array {
    return Uint8Array.from(this.#bytes.subarray(offset, this.#offset));
  }

  uint8(field: string): number {
    const value = this.#bytes[this.#offset];
    if (value === undefined) throw this.#truncated(field);
    this.#offset += 1;
    return value;
  }

  /**
   * @throws {ERR_INVALID_MESSAGE} when it is cut off, larger than 2^53 − 1, or larger than `max`.
   */
  varint(field: string, max: number = Number.MAX_SAFE_INTEGER): number {
    let value = 0;
    let factor = 1;
    for (let index = 0; index < 8; index += 1) {
      const byte = this.uint8(field);
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        if (value > max) {
          throw new InvalidMessageError(
            `${this.#what}: ${field} is ${value}, expected at most ${max}`,
          );
        }
        return value;
      }
      factor *= 128;
    }
    throw new InvalidMessageError(`${this.#what}: ${field} is longer than 8 bytes`);
  }

  text(field: string, maxBytes: number): string {
    const length = this.varint(`length of ${field}`, maxBytes);
    if (length > this.left) throw this.#truncated(field);
    const text = this.#bytes.toString('utf8', this.#offset, this.#offset + length);
    this.#offset += length;
    return text;
  }

  /** The next bytes, sharing memory with the message. */
  take(field: string, byteLength: number): Uint8Array {
    if (byteLength > this.left) throw this.#truncated(field);
    const bytes = this.#bytes.subarray(this.#offset, this.#offset + byteLength);
    this.#offset += byteLength;
    return bytes;
  }

  #truncated(field: string): InvalidMessageError {
    return new InvalidMessageError(
      `${this.#what} ends inside ${field}: it has ${this.#bytes.byteLength} bytes`,
    );
  }
}
