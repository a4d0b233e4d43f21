import { describe, expect, it } from 'vitest';
import { RateBound } from '../../../../src/swarm/rate-bound.ts';

describe('RateBound', () => {
  it('lets a burst through, then as many as the rate allows', () => {
    const bound = new RateBound({ perSecond: 10, burst: 3 });
    expect([0, 0, 0, 0].map((at) => bound.take(at))).toEqual([true, true, true, false]);
    expect(bound.take(99)).toBe(false);
    expect(bound.take(100)).toBe(true);
    expect(bound.take(150)).toBe(false);
    expect(bound.take(10_000)).toBe(true);
    expect([10_000, 10_000, 10_000].map((at) => bound.take(at))).toEqual([true, true, false]);
  });
});
