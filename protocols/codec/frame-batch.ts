import { HEADROOM_BYTES } from './direct-lane.ts';
import { FRAME_HEADER_BYTES, writeFrameHeader } from './frame.ts';

/** Memory that the small frames of all streams are written into, one after the other; never written to again. */
const SLAB_BYTES = 64 * 1024;

/** Up to here a payload's piece is copied, so that a handful of small frames is one write and one TLS record. */
const COPY_BYTES = 4 * 1024;

const NO_SLAB = Buffer.alloc(0);

let slab = NO_SLAB;
let slabUsed = 0;

/**
 * The frames that one turn of the event loop sends, in as few pieces as that needs: small frames follow each other in one
 * piece of memory, what is larger is referred to.
 */
export class FrameBatch {
  #pieces: Uint8Array[] = [];
  #byteLength = 0;
  /** The last piece, while it may grow: its slab and its place in it. */
  #run: Buffer = NO_SLAB;
  #runStart = 0;
  #runEnd = 0;

  /** Bytes of all frames since the last {@link take}. */
  get byteLength(): number {
    return this.#byteLength;
  }

  /** Adds one frame. Of a payload's pieces those over 4 KiB are not copied: they must not be written to until they are sent. */
  add(type: number, id: number, payload: readonly Uint8Array[]): void {
    let payloadBytes = 0;
    for (const piece of payload) payloadBytes += piece.byteLength;
    const room = this.#room(FRAME_HEADER_BYTES);
    writeFrameHeader(room, this.#runEnd, { type, id, payloadBytes });
    this.#grow(FRAME_HEADER_BYTES);
    for (const piece of payload) {
      const { byteLength } = piece;
      if (byteLength > COPY_BYTES) {
        this.#endRun();
        this.#pieces.push(piece);
      } else {
        this.#room(byteLength).set(piece, this.#runEnd);
        this.#grow(byteLength);
      }
    }
    this.#byteLength += FRAME_HEADER_BYTES + payloadBytes;
  }

  /**
   * The bytes of all frames in their order; the batch is empty then. Before the first there are {@link HEADROOM_BYTES} that
   * nobody uses.
   */
  take(): readonly Uint8Array[] {
    this.#endRun();
    // The next run has a headroom of its own.
    this.#run = NO_SLAB;
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#byteLength = 0;
    return pieces;
  }

  /** The slab that the next bytes go into, at `#runEnd`: the same for as long as nobody else wrote into it. */
  #room(byteLength: number): Buffer {
    if (this.#run === slab && this.#runEnd === slabUsed && slabUsed + byteLength <= slab.byteLength)
      return slab;
    this.#endRun();
    if (slabUsed + HEADROOM_BYTES + byteLength > slab.byteLength) {
      slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      slabUsed = 0;
    }
    slabUsed += HEADROOM_BYTES;
    this.#run = slab;
    this.#runStart = slabUsed;
    this.#runEnd = slabUsed;
    return slab;
  }

  #grow(byteLength: number): void {
    this.#runEnd += byteLength;
    slabUsed = this.#runEnd;
  }

  #endRun(): void {
    if (this.#runEnd > this.#runStart) {
      this.#pieces.push(this.#run.subarray(this.#runStart, this.#runEnd));
    }
    this.#runStart = this.#runEnd;
  }
}
