/** The same numbers from 0 to below 1 for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The time between two events of a Poisson process. */
export function exponential(mean: number, random: () => number): number {
  return -Math.log(1 - random()) * mean;
}

export function uniform(low: number, high: number, random: () => number): number {
  return low + (high - low) * random();
}
