import { read } from 'node:fs';
import { decodePipeHeader, PIPE_HEADER_BYTES, type PipeFrame } from '../pipe-frame.ts';

/** Bytes of a frame whose memory is used again for the next; a larger one gets memory of its own. */
export const MAX_KEPT_BYTES = 16 * 1024 * 1024;

/** Bytes that one system call takes at most: as much as a socket's buffer holds on Linux. */
const CHUNK_BYTES = 256 * 1024;

/** System calls that may wait in line, so that a model of many milliseconds does not find the pipe full behind it. */
const READS_AHEAD = 16;

/** A piece of what the parent sent, and how much of it was used. */
interface Chunk {
  readonly memory: Buffer<ArrayBuffer>;
  end: number;
  used: number;
}

/**
 * The child's reading end of the pipe, once the model is loaded. It reads while the model has this thread: what the kernel holds
 * of a socket is some 200 KB, and its sender hears of new room only when three quarters of that are free again, so a frame
 * read when the model is free would mostly be waited for.
 *
 * The thread that reads is the one of Node's pool. It has to be the only one (`UV_THREADPOOL_SIZE`), for calls that wait in line
 * must be done in their order.
 */
export class FrameReader {
  readonly #fd: number;
  readonly #maxPayloadBytes: number;
  readonly #header = new Uint8Array(PIPE_HEADER_BYTES);
  /** Filled, in the order of the pipe. */
  readonly #chunks: Chunk[] = [];
  /** As large as the largest that was needed, up to the bound. */
  #kept = new ArrayBuffer(0);
  #ended = false;
  #wake = (): void => {};

  /** @param readsAhead more than 1 only where Node's pool has one thread */
  constructor(fd: number, maxPayloadBytes: number, readsAhead = READS_AHEAD) {
    this.#fd = fd;
    this.#maxPayloadBytes = maxPayloadBytes;
    for (let index = 0; index < readsAhead; index += 1) {
      this.#read({ memory: Buffer.allocUnsafeSlow(CHUNK_BYTES), end: 0, used: 0 });
    }
  }

  /** Resolves with the next frame, which is valid until the one after; undefined once the parent closed its end or died. */
  async next(): Promise<PipeFrame | undefined> {
    if (!(await this.#fill(this.#header))) return undefined;
    const { type, id, payloadBytes } = decodePipeHeader(this.#header, this.#maxPayloadBytes);
    const payload = this.#room(payloadBytes);
    return (await this.#fill(payload)) ? { type, id, payload } : undefined;
  }

  #read(chunk: Chunk): void {
    read(this.#fd, chunk.memory, 0, CHUNK_BYTES, null, (error, bytes) => {
      // A pipe that breaks has ended: its parent is gone.
      if (error !== null || bytes === 0) {
        this.#ended = true;
      } else {
        chunk.end = bytes;
        chunk.used = 0;
        this.#chunks.push(chunk);
      }
      this.#wake();
    });
  }

  async #fill(target: Uint8Array): Promise<boolean> {
    for (let offset = 0; offset < target.byteLength; ) {
      const chunk = this.#chunks[0];
      if (chunk === undefined) {
        if (this.#ended) return false;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      const end = Math.min(chunk.end, chunk.used + target.byteLength - offset);
      target.set(chunk.memory.subarray(chunk.used, end), offset);
      offset += end - chunk.used;
      chunk.used = end;
      if (end < chunk.end) continue;
      this.#chunks.shift();
      this.#read(chunk);
    }
    return true;
  }

  /** New memory for each frame would be garbage after it, and its collection the model's time. */
  #room(bytes: number): Uint8Array<ArrayBuffer> {
    if (bytes > MAX_KEPT_BYTES) return new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);
    if (this.#kept.byteLength < bytes) this.#kept = Buffer.allocUnsafeSlow(bytes).buffer;
    return new Uint8Array(this.#kept, 0, bytes);
  }
}
