import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  LATENCY_BUCKETS,
  latencyBucket,
  latencyQuantileMs,
} from '../../../../protocols/outcome/index.ts';

const latency = fc.double({ min: 0.5, max: 200_000, noNaN: true });

function histogram(latencies: readonly number[]): number[] {
  const buckets = Array.from<number>({ length: LATENCY_BUCKETS }).fill(0);
  for (const ms of latencies) buckets[latencyBucket(ms)] = (buckets[latencyBucket(ms)] ?? 0) + 1;
  return buckets;
}

describe('latencyBucket', () => {
  it.each([
    [0, 0],
    [0.499, 0],
    [0.5, 1],
    [0.708, 2],
    [1, 3],
    [1.999, 4],
    [2, 5],
    [1_000, 22],
    [262_144, 39],
    [1e9, 39],
    [Number.POSITIVE_INFINITY, 39],
    [Number.NaN, 0],
    [-1, 0],
  ])('puts %d ms into bucket %d', (ms, bucket) => {
    expect(latencyBucket(ms)).toBe(bucket);
  });

  it('never puts a longer latency into an earlier bucket', () => {
    fc.assert(
      fc.property(latency, latency, (a, b) => {
        if (a <= b) expect(latencyBucket(a)).toBeLessThanOrEqual(latencyBucket(b));
      }),
    );
  });
});

describe('latencyQuantileMs', () => {
  it('is within a bucket’s width of the true median', () => {
    fc.assert(
      fc.property(fc.array(latency, { minLength: 1, maxLength: 200 }), (latencies) => {
        const sorted = latencies.toSorted((a, b) => a - b);
        const median = sorted[Math.ceil(sorted.length / 2) - 1] ?? 0;
        const found = latencyQuantileMs(histogram(latencies), 0.5) ?? 0;
        expect(found / median).toBeGreaterThan(1 / 1.42);
        expect(found / median).toBeLessThan(1.42);
      }),
    );
  });

  it('is null of nothing, and takes a histogram without its empty end', () => {
    expect(latencyQuantileMs([], 0.5)).toBeNull();
    expect(latencyQuantileMs([0, 0], 0.5)).toBeNull();
    expect(latencyQuantileMs([0, 0, 0, 4], 0.5)).toBe(
      latencyQuantileMs(histogram([1, 1, 1, 1]), 0.5),
    );
  });
});
