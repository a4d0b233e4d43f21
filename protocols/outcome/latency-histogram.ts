/** Buckets of a latency histogram, two to each doubling. */
export const LATENCY_BUCKETS = 40;

/** Milliseconds below which a latency falls into the first bucket. */
const FIRST_BOUND_MS = 0.5;

/**
 * The bucket of a latency: 0 below 0.5 ms, then two buckets to each doubling, the last from some 262 s on.
 *
 * Bucket `i` from 1 on holds `[0.5 · 2^((i − 1) / 2), 0.5 · 2^(i / 2))` milliseconds: fine enough to tell half as slow again.
 */
export function latencyBucket(latencyMs: number): number {
  if (!(latencyMs >= FIRST_BOUND_MS)) return 0;
  const bucket = Math.floor(2 * Math.log2(latencyMs / FIRST_BOUND_MS)) + 1;
  return Math.min(LATENCY_BUCKETS - 1, bucket);
}

/**
 * The latency that a share of the counted ones does not exceed, in milliseconds, interpolated within its bucket; null when
 * nothing was counted. `buckets` may be shorter than {@link LATENCY_BUCKETS}: what is missing is 0.
 */
export function latencyQuantileMs(buckets: readonly number[], quantile: number): number | null {
  const total = buckets.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let rank = quantile * total;
  let last = 0;
  for (const [bucket, count] of buckets.entries()) {
    if (count === 0) continue;
    last = bucket;
    if (rank <= count) return lowerBoundMs(bucket) * Math.SQRT2 ** (rank / count);
    rank -= count;
  }
  return lowerBoundMs(last) * Math.SQRT2;
}

function lowerBoundMs(bucket: number): number {
  return FIRST_BOUND_MS * 2 ** ((bucket - 1) / 2);
}
