import { InvalidMessageError } from '../errors.ts';
import { MAX_FRAME_BYTES } from '../limits.ts';

/** Bytes before a frame's payload: u32 length of what follows it, u8 type, u32 request id; little-endian. */
export const FRAME_HEADER_BYTES = 9;

const LENGTH_BYTES = 4;
const TYPE_AND_ID_BYTES = FRAME_HEADER_BYTES - LENGTH_BYTES;

/** Bytes a payload may have, so that its frame stays within {@link MAX_FRAME_BYTES}. */
export const MAX_PAYLOAD_BYTES = MAX_FRAME_BYTES - FRAME_HEADER_BYTES;

/** One message of a framed stream. */
export interface Frame {
  readonly type: number;
  readonly id: number;
  readonly payload: Uint8Array;
}

/** One that came. */
export interface ReceivedFrame extends Frame {
  /** True when nobody else writes to the payload's memory. Else it may be that of what was received: copy what is kept. */
  readonly owned: boolean;
}

/** The nine bytes that precede a payload. */
export function encodeFrameHeader(type: number, id: number, payloadBytes: number): Uint8Array {
  const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
  writeFrameHeader(header, 0, { type, id, payloadBytes });
  return header;
}

/** Writes the nine bytes that precede a payload, at a place that has room for them. */
export function writeFrameHeader(
  into: Buffer,
  offset: number,
  { type, id, payloadBytes }: { type: number; id: number; payloadBytes: number },
): void {
  into.writeUInt32LE(TYPE_AND_ID_BYTES + payloadBytes, offset);
  into[offset + LENGTH_BYTES] = type;
  into.writeUInt32LE(id, offset + LENGTH_BYTES + 1);
}

/**
 * Cuts bytes, in whatever pieces they arrive, into frames; holds at most one frame's bytes.
 *
 * A frame of the divisible type, whose payloads only count together, is handed out piece by piece as it comes: each piece as a
 * frame of its own, none of it copied.
 */
export class FrameDecoder {
  readonly #onFrame: (frame: ReceivedFrame) => void;
  readonly #divisibleType: number | undefined;
  readonly #header = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
  #headerBytes = 0;
  /** The payload being filled; undefined while the header is incomplete. */
  #payload: Buffer | undefined;
  #payloadBytes = 0;
  /** Bytes still to come of the divisible frame that has begun; 0 when none has. */
  #pieceBytes = 0;

  constructor(onFrame: (frame: ReceivedFrame) => void, divisibleType?: number) {
    this.#onFrame = onFrame;
    this.#divisibleType = divisibleType;
  }

  /** True while a frame has begun and not ended. */
  get partial(): boolean {
    return this.#headerBytes > 0;
  }

  /**
   * Takes the next bytes and hands out the frames they complete.
   *
   * @throws {ERR_INVALID_MESSAGE} when a frame is announced longer than {@link MAX_FRAME_BYTES} or too short to be one.
   */
  push(chunk: Uint8Array): void {
    const bytes = asBuffer(chunk);
    let offset = 0;
    while (offset < bytes.byteLength) {
      if (this.#pieceBytes > 0) offset = this.#passPiece(bytes, offset);
      else if (this.#payload === undefined) offset = this.#readHeader(bytes, offset);
      else offset = this.#fill(bytes, offset);
    }
  }

  #readHeader(bytes: Buffer, offset: number): number {
    // A whole frame in one chunk, which is the rule for small ones, is handed out without a copy.
    if (this.#headerBytes === 0 && bytes.byteLength - offset >= FRAME_HEADER_BYTES) {
      const payloadBytes = payloadLength(bytes.readUInt32LE(offset));
      const start = offset + FRAME_HEADER_BYTES;
      const end = start + payloadBytes;
      if (end <= bytes.byteLength) {
        const type = bytes[offset + LENGTH_BYTES] ?? 0;
        const id = bytes.readUInt32LE(offset + LENGTH_BYTES + 1);
        this.#onFrame({ type, id, payload: bytes.subarray(start, end), owned: false });
        return end;
      }
    }
    const taken = Math.min(FRAME_HEADER_BYTES - this.#headerBytes, bytes.byteLength - offset);
    bytes.copy(this.#header, this.#headerBytes, offset, offset + taken);
    this.#headerBytes += taken;
    if (this.#headerBytes >= LENGTH_BYTES) payloadLength(this.#header.readUInt32LE(0));
    if (this.#headerBytes === FRAME_HEADER_BYTES) {
      const payloadBytes = payloadLength(this.#header.readUInt32LE(0));
      if (this.#header[LENGTH_BYTES] === this.#divisibleType && payloadBytes > 0) {
        this.#pieceBytes = payloadBytes;
        return offset + taken;
      }
      this.#payload = Buffer.allocUnsafe(payloadBytes);
      this.#payloadBytes = 0;
      if (this.#payload.byteLength === 0) this.#complete(this.#payload);
    }
    return offset + taken;
  }

  #passPiece(bytes: Buffer, offset: number): number {
    const end = Math.min(bytes.byteLength, offset + this.#pieceBytes);
    this.#pieceBytes -= end - offset;
    if (this.#pieceBytes === 0) this.#headerBytes = 0;
    const type = this.#header[LENGTH_BYTES] ?? 0;
    const id = this.#header.readUInt32LE(LENGTH_BYTES + 1);
    this.#onFrame({ type, id, payload: bytes.subarray(offset, end), owned: false });
    return end;
  }

  #fill(bytes: Buffer, offset: number): number {
    const payload = this.#payload as Buffer;
    const taken = Math.min(payload.byteLength - this.#payloadBytes, bytes.byteLength - offset);
    bytes.copy(payload, this.#payloadBytes, offset, offset + taken);
    this.#payloadBytes += taken;
    if (this.#payloadBytes === payload.byteLength) this.#complete(payload);
    return offset + taken;
  }

  #complete(payload: Buffer): void {
    this.#payload = undefined;
    this.#headerBytes = 0;
    const type = this.#header[LENGTH_BYTES] ?? 0;
    this.#onFrame({ type, id: this.#header.readUInt32LE(LENGTH_BYTES + 1), payload, owned: true });
  }
}

function payloadLength(length: number): number {
  if (length < TYPE_AND_ID_BYTES || length + LENGTH_BYTES > MAX_FRAME_BYTES) {
    throw new InvalidMessageError(
      `frame has ${length + LENGTH_BYTES} bytes, expected ${FRAME_HEADER_BYTES} to ${MAX_FRAME_BYTES}`,
    );
  }
  return length - TYPE_AND_ID_BYTES;
}

/** The same memory as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
