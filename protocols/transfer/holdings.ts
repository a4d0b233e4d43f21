/** Chunks of one version that an answer can tell of: more than the chunk lists of a version can name. */
export const MAX_HOLDING_CHUNKS = 512 * 1024;

/**
 * Which chunks of a version a peer has. Chunks are counted in the order of the manifest's files, in each in the order of its
 * chunk list; a bit stands at `index >> 3`, the lowest bit first.
 */
export interface Holdings {
  /** Everything is there: then `count` is 0 and there are no bits. */
  readonly whole: boolean;
  /** Chunks that the bits are about; 0 also while a peer has not got the chunk lists. */
  readonly count: number;
  /** Chunks that are there, verified. */
  readonly has: Uint8Array;
  /** Chunks that were asked for and are on their way: another copy of them is not what the swarm needs next. */
  readonly coming: Uint8Array;
}

/** Of a complete copy. */
export const WHOLE: Holdings = {
  whole: true,
  count: 0,
  has: new Uint8Array(),
  coming: new Uint8Array(),
};

/** Of a peer that wants the version and has nothing yet. */
export const NOTHING: Holdings = { ...WHOLE, whole: false };

/** Bytes that the bits of so many chunks take. */
export function bitBytes(count: number): number {
  return Math.ceil(count / 8);
}

/** False also past the end. */
export function hasBit(bits: Uint8Array, index: number): boolean {
  return ((bits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
}

export function setBit(bits: Uint8Array, index: number): void {
  bits[index >> 3] = (bits[index >> 3] ?? 0) | (1 << (index & 7));
}
