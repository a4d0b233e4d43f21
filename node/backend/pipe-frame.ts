import { InvalidMessageError } from '../../protocols/errors.ts';

/**
 * Frames on the pipe between a backend and its child process:
 *
 * `[u32 LE bytes that follow][u8 type][u32 LE id][payload]`
 *
 * The same shape as on the network, with bodies in one piece: the pipe has one reader, which wants them whole and aligned.
 */
export const PIPE_FRAME = {
  /** Parent to child, JSON {@link LoadCommand}: load this model; the first frame of every child. */
  load: 1,
  /** Child to parent, JSON {@link LoadReport}. */
  loaded: 2,
  /** Parent to child, tensor frame: numbers are the indices of the outputs wanted. */
  run: 3,
  /** Child to parent, tensor frame: numbers are the milliseconds executed and the child's resident bytes. */
  result: 4,
  /** Child to parent, JSON {@link PipeFailure}: the answer to the frame with this id. */
  failure: 5,
} as const;

/** Bytes before a payload. */
export const PIPE_HEADER_BYTES = 9;

/** Bytes of a JSON payload; a thousand inputs with long names stay below. */
export const MAX_PIPE_JSON_BYTES = 16 * 1024 * 1024;

export interface PipeFrame {
  readonly type: number;
  readonly id: number;
  /** At offset 0 of its buffer, so that typed arrays over multiples of 8 are aligned. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

export function encodePipeHeader(
  type: number,
  id: number,
  payloadBytes: number,
): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(PIPE_HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, payloadBytes + 5, true);
  view.setUint8(4, type);
  view.setUint32(5, id, true);
  return header;
}

/**
 * Reads a header.
 *
 * @throws {ERR_INVALID_MESSAGE} when the payload would be larger than `maxPayloadBytes`.
 */
export function decodePipeHeader(
  header: Uint8Array,
  maxPayloadBytes: number,
): { readonly type: number; readonly id: number; readonly payloadBytes: number } {
  const view = new DataView(header.buffer, header.byteOffset, PIPE_HEADER_BYTES);
  const payloadBytes = view.getUint32(0, true) - 5;
  if (payloadBytes < 0 || payloadBytes > maxPayloadBytes) {
    throw new InvalidMessageError(
      `frame of ${payloadBytes} bytes from a model's process, expected 0 to ${maxPayloadBytes}`,
    );
  }
  return { type: view.getUint8(4), id: view.getUint32(5, true), payloadBytes };
}

/** Cuts a byte stream into frames; each body is copied once, into memory of its own. */
export class PipeFrameDecoder {
  readonly #maxPayloadBytes: number;
  readonly #header = new Uint8Array(PIPE_HEADER_BYTES);
  /** Bytes filled of the header while `#body` is undefined, else of the body. */
  #filled = 0;
  #body: Uint8Array<ArrayBuffer> | undefined;
  #type = 0;
  #id = 0;

  constructor(maxPayloadBytes: number) {
    this.#maxPayloadBytes = maxPayloadBytes;
  }

  /**
   * Takes the next bytes and returns the frames they complete.
   *
   * @throws {ERR_INVALID_MESSAGE} on a frame over the bound; the decoder is unusable afterwards.
   */
  push(chunk: Uint8Array): PipeFrame[] {
    const frames: PipeFrame[] = [];
    let offset = 0;
    while (offset < chunk.byteLength || this.#body?.byteLength === this.#filled) {
      const target = this.#body ?? this.#header;
      const take = Math.min(target.byteLength - this.#filled, chunk.byteLength - offset);
      target.set(chunk.subarray(offset, offset + take), this.#filled);
      offset += take;
      this.#filled += take;
      if (this.#filled < target.byteLength) break;
      this.#filled = 0;
      if (this.#body === undefined) {
        this.#begin();
      } else {
        frames.push({ type: this.#type, id: this.#id, payload: this.#body });
        this.#body = undefined;
      }
    }
    return frames;
  }

  #begin(): void {
    const { type, id, payloadBytes } = decodePipeHeader(this.#header, this.#maxPayloadBytes);
    this.#type = type;
    this.#id = id;
    // Not from the shared pool: the body must start at offset 0 of its buffer. Not zeroed: it is filled before it is read.
    this.#body = new Uint8Array(Buffer.allocUnsafeSlow(payloadBytes).buffer);
  }
}
