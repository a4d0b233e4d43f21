const UTF8 = new TextEncoder();

/** Writes protobuf wire format: enough of it to build ONNX models, also wrong ones, byte by byte. */
export class ProtobufWriter {
  readonly #parts: Uint8Array[] = [];
  #byteLength = 0;

  /** Appends bytes as they are: a whole encoded field, or garbage on purpose. */
  raw(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    this.#byteLength += bytes.length;
    return this;
  }

  /** An integer field (wire type 0); a negative one takes ten bytes, as int32 and int64 do. */
  varint(field: number, value: number | bigint): this {
    return this.raw(encodeVarint(BigInt(field) << 3n)).raw(encodeVarint(BigInt(value)));
  }

  /** A 32-bit float field (wire type 5). */
  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    return this.raw(encodeVarint((BigInt(field) << 3n) | 5n)).raw(bytes);
  }

  /** A length-delimited field (wire type 2): text, bytes or an encoded message. */
  bytes(field: number, value: Uint8Array | string): this {
    const payload = typeof value === 'string' ? UTF8.encode(value) : value;
    return this.header(field, payload.length).raw(payload);
  }

  /** The tag and length of a field whose payload the caller puts elsewhere, a hole in a sparse file for one. */
  header(field: number, byteLength: number): this {
    return this.raw(encodeVarint((BigInt(field) << 3n) | 2n)).raw(encodeVarint(BigInt(byteLength)));
  }

  finish(): Uint8Array {
    const bytes = new Uint8Array(this.#byteLength);
    let offset = 0;
    for (const part of this.#parts) {
      bytes.set(part, offset);
      offset += part.length;
    }
    return bytes;
  }
}

export function encodeVarint(value: bigint): Uint8Array {
  let rest = BigInt.asUintN(64, value);
  const bytes: number[] = [];
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 0x80);
  } while (rest !== 0n);
  return Uint8Array.from(bytes);
}
