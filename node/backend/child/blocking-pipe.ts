import { readSync, writeSync, writevSync } from 'node:fs';
import {
  decodePipeHeader,
  encodePipeHeader,
  PIPE_HEADER_BYTES,
  type PipeFrame,
} from '../pipe-frame.ts';

/** Pieces handed to one system call; POSIX guarantees 16, Linux and macOS take 1024. */
const MAX_PIECES = 512;

/**
 * The child's end of the pipe, read and written in place: while it waits for the first frame, and while it writes, the thread has
 * nothing else to do.
 */
export class BlockingPipe {
  readonly #fd: number;
  readonly #maxPayloadBytes: number;
  readonly #header = new Uint8Array(PIPE_HEADER_BYTES);

  constructor(fd: number, maxPayloadBytes: number) {
    this.#fd = fd;
    this.#maxPayloadBytes = maxPayloadBytes;
  }

  /** Waits for a frame and takes nothing behind it; undefined once the parent closed its end or died. */
  read(): PipeFrame | undefined {
    if (!this.#fill(this.#header)) return undefined;
    const { type, id, payloadBytes } = decodePipeHeader(this.#header, this.#maxPayloadBytes);
    const payload = new Uint8Array(Buffer.allocUnsafeSlow(payloadBytes).buffer);
    return this.#fill(payload) ? { type, id, payload } : undefined;
  }

  /** Writes one frame whole. */
  write(type: number, id: number, pieces: readonly Uint8Array[]): void {
    const payloadBytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
    let rest: Uint8Array[] = [encodePipeHeader(type, id, payloadBytes), ...pieces];
    while (rest.length > 0) {
      let written = writevSync(this.#fd, rest.slice(0, MAX_PIECES));
      let done = 0;
      for (const piece of rest) {
        if (written < piece.byteLength) break;
        written -= piece.byteLength;
        done += 1;
      }
      rest = rest.slice(done);
      const first = rest[0];
      if (written > 0 && first !== undefined) {
        rest.shift();
        this.#writePiece(first.subarray(written));
      }
    }
  }

  #writePiece(piece: Uint8Array): void {
    let offset = 0;
    while (offset < piece.byteLength) {
      offset += writeSync(this.#fd, piece, offset, piece.byteLength - offset);
    }
  }

  #fill(target: Uint8Array): boolean {
    let offset = 0;
    while (offset < target.byteLength) {
      const read = readSync(this.#fd, target, offset, target.byteLength - offset, null);
      if (read === 0) return false;
      offset += read;
    }
    return true;
  }
}
