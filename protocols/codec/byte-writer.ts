/** Characters of a text whose length takes one byte. */
const MAX_ASCII_LENGTH = 0x7f;

/** Appends varints, texts and bytes to a buffer that grows; for headers of a few hundred bytes. */
export class ByteWriter {
  #buffer = Buffer.allocUnsafe(512);
  #length = 0;

  /** What was written so far; valid until the next write. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  get byteLength(): number {
    return this.#length;
  }

  uint8(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  /** An integer from 0 to 2^53 − 1 as an unsigned LEB128 varint. */
  varint(value: number): void {
    this.#reserve(8);
    let rest = value;
    // Bitwise operators see 32 bits only: larger values are divided until they fit.
    while (rest > 0x7fff_ffff) {
      this.#buffer[this.#length++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest > 0x7f) {
      this.#buffer[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#buffer[this.#length++] = rest;
  }

  /** The text's UTF-8 bytes after their number. */
  text(value: string): void {
    if (value.length <= MAX_ASCII_LENGTH && this.#ascii(value)) return;
    const byteLength = Buffer.byteLength(value, 'utf8');
    this.varint(byteLength);
    this.#reserve(byteLength);
    this.#length += this.#buffer.write(value, this.#length, 'utf8');
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.byteLength);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.byteLength;
  }

  /** Writes a short text of ASCII alone, without the calls out of JavaScript that any other needs; else writes nothing. */
  #ascii(value: string): boolean {
    const { length } = value;
    this.#reserve(1 + length);
    const start = this.#length + 1;
    for (let index = 0; index < length; index += 1) {
      const code = value.charCodeAt(index);
      if (code > 0x7f) return false;
      this.#buffer[start + index] = code;
    }
    this.#buffer[this.#length] = length;
    this.#length = start + length;
    return true;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.byteLength) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#buffer.byteLength));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}
