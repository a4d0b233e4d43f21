import { MAX_CHUNK_BYTES } from '../../protocols/limits.ts';
import { GEAR } from './gear-table.ts';

/** Bytes of a chunk at least, except the last of a file. */
export const MIN_CHUNK_BYTES = 256 * 1024;

/** Bytes from which on a boundary is sixteen times likelier: with these numbers chunks are 1 MiB on average. */
const NORMAL_CHUNK_BYTES = 896 * 1024;

/** Bytes that the hash depends on: each is shifted out of its 32 bits after as many steps. */
const WINDOW_BYTES = 32;

/** The topmost bits, which depend on the most bytes: 22 of them before the normal size, 18 after. */
const STRICT_MASK = ~0 << 10;
const LOOSE_MASK = ~0 << 14;

/**
 * Finds where chunks end by what the bytes are, not by where they stand: FastCDC's normalised chunking over a gear hash.
 *
 * Whether a place may be a boundary depends on the 32 bytes before it alone, so that after an insertion or a change the old
 * boundaries come back within a chunk or two.
 *
 * @see Xia et al., FastCDC: a Fast and Efficient Content-Defined Chunking Approach for Data Deduplication, USENIX ATC 2016
 */
export class BoundaryFinder {
  /** Bytes of the current chunk seen so far. */
  #size = 0;
  #hash = 0;

  /** Index in `bytes` just after the chunk's last byte; undefined when the chunk goes on past them. */
  next(bytes: Uint8Array, start: number): number | undefined {
    const offset = start - this.#size;
    const until = (size: number): number => Math.min(bytes.byteLength, offset + size);
    let position = Math.max(start, until(MIN_CHUNK_BYTES - WINDOW_BYTES));
    position = this.#roll(bytes, position, until(MIN_CHUNK_BYTES), 0).position;
    for (const [size, mask] of PHASES) {
      const rolled = this.#roll(bytes, position, until(size), mask);
      if (rolled.found) return this.#cut(rolled.position);
      position = rolled.position;
    }
    this.#size = position - offset;
    return this.#size === MAX_CHUNK_BYTES ? this.#cut(position) : undefined;
  }

  /** Takes in bytes up to `end`, or up to a boundary by `mask`; mask 0 finds none. */
  #roll(
    bytes: Uint8Array,
    start: number,
    end: number,
    mask: number,
  ): { found: boolean; position: number } {
    const gear = GEAR;
    let hash = this.#hash;
    let position = start;
    let found = false;
    while (position < end && !found) {
      // Both indices are within bounds: `end` is at most the length, and a byte is under 256.
      hash = ((hash << 1) + (gear[bytes[position] as number] as number)) | 0;
      position += 1;
      found = (hash & mask) === 0 && mask !== 0;
    }
    this.#hash = hash;
    return { found, position };
  }

  #cut(position: number): number {
    this.#size = 0;
    this.#hash = 0;
    return position;
  }
}

const PHASES: readonly (readonly [untilBytes: number, mask: number])[] = [
  [NORMAL_CHUNK_BYTES, STRICT_MASK],
  [MAX_CHUNK_BYTES, LOOSE_MASK],
];
