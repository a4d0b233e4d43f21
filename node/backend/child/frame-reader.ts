import { read, readSync } from 'node:fs';
import { decodePipeHeader, PIPE_HEADER_BYTES, type PipeFrame } from '../pipe-frame.ts';

/** Bytes of a frame whose memory is used again for the next; a larger one gets memory of its own. */
export const MAX_KEPT_BYTES = 16 * 1024 * 1024;

/** Bytes that one system call takes at most: as much as a socket's buffer holds on Linux. */
const CHUNK_BYTES = 256 * 1024;

/** System calls that may wait in line, so that a model of many milliseconds does not find the pipe full behind it. */
const READS_AHEAD = 16;

/** Bytes of a frame up to which the next lies whole in the socket's buffer while the model has this one. */
const IN_PLACE_BYTES = 144 * 1024;

/** A piece of what the parent sent, and how much of it was used. */
interface Chunk {
  readonly memory: Buffer<ArrayBuffer>;
  end: number;
  used: number;
}

/**
 * The child's reading end of the pipe, once the model is loaded.
 *
 * Small frames are read in place: the kernel holds the next one by the time the model is free, and another thread that reads it
 * costs the model 50 µs of its core for each. Larger ones are read while the model has this thread: what the kernel holds of a
 * socket is some 200 KB, and its sender hears of new room only when three quarters of that are free again, so a frame read when the
 * model is free would mostly be waited for.
 *
 * The thread that reads is the one of Node's pool. It has to be the only one (`UV_THREADPOOL_SIZE`), for calls that wait in line
 * must be done in their order.
 */
export class FrameReader {
  readonly #fd: number;
  readonly #maxPayloadBytes: number;
  readonly #readsAhead: number;
  readonly #header = new Uint8Array(PIPE_HEADER_BYTES);
  /** Filled, in the order of the pipe. */
  readonly #chunks: Chunk[] = [];
  readonly #empty: Chunk[] = [];
  /** Whether frames are large, so that the pool's thread is to read the next ones. */
  #ahead = false;
  /** System calls that the pool's thread has not done: as long as there are any, nothing may be read in place. */
  #waiting = 0;
  /** As large as the largest that was needed, up to the bound. */
  #kept = new ArrayBuffer(0);
  #ended = false;
  #wake = (): void => {};

  /** @param readsAhead more than 1 only where Node's pool has one thread */
  constructor(fd: number, maxPayloadBytes: number, readsAhead = READS_AHEAD) {
    this.#fd = fd;
    this.#maxPayloadBytes = maxPayloadBytes;
    this.#readsAhead = readsAhead;
  }

  /** Resolves with the next frame, which is valid until the one after; undefined once the parent closed its end or died. */
  async next(): Promise<PipeFrame | undefined> {
    if (!(await this.#fill(this.#header))) return undefined;
    const { type, id, payloadBytes } = decodePipeHeader(this.#header, this.#maxPayloadBytes);
    const payload = this.#room(payloadBytes);
    this.#ahead = payloadBytes > IN_PLACE_BYTES;
    this.#readAhead();
    return (await this.#fill(payload)) ? { type, id, payload } : undefined;
  }

  #readAhead(): void {
    while (this.#ahead && !this.#ended && this.#waiting + this.#chunks.length < this.#readsAhead) {
      const chunk = this.#emptyChunk();
      this.#waiting += 1;
      read(this.#fd, chunk.memory, 0, CHUNK_BYTES, null, (error, bytes) => {
        this.#waiting -= 1;
        this.#take(chunk, error === null ? bytes : 0);
        this.#wake();
      });
    }
  }

  #readInPlace(): void {
    const chunk = this.#emptyChunk();
    this.#take(chunk, readWaiting(this.#fd, chunk.memory));
  }

  /** A pipe that has ended, or breaks, gives nothing: its parent is gone. */
  #take(chunk: Chunk, bytes: number): void {
    if (bytes === 0) {
      this.#ended = true;
      return;
    }
    chunk.end = bytes;
    chunk.used = 0;
    this.#chunks.push(chunk);
  }

  #emptyChunk(): Chunk {
    return this.#empty.pop() ?? { memory: Buffer.allocUnsafeSlow(CHUNK_BYTES), end: 0, used: 0 };
  }

  async #fill(target: Uint8Array): Promise<boolean> {
    for (let offset = 0; offset < target.byteLength; ) {
      const chunk = this.#chunks[0];
      if (chunk === undefined) {
        if (this.#ended) return false;
        if (this.#waiting === 0) this.#readInPlace();
        else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
        continue;
      }
      const end = Math.min(chunk.end, chunk.used + target.byteLength - offset);
      target.set(chunk.memory.subarray(chunk.used, end), offset);
      offset += end - chunk.used;
      chunk.used = end;
      if (end < chunk.end) continue;
      this.#chunks.shift();
      this.#empty.push(chunk);
      this.#readAhead();
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

/** Bytes read, of which it waits for one at least; 0 where none will come. */
function readWaiting(fd: number, memory: Uint8Array): number {
  for (;;) {
    try {
      return readSync(fd, memory, 0, memory.byteLength, null);
    } catch (error) {
      // A signal that is no reason to end; the pool's thread gets none.
      if ((error as NodeJS.ErrnoException).code !== 'EINTR') return 0;
    }
  }
}
