import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenBucket } from '../../../protocols/token-bucket.ts';

describe('TokenBucket', () => {
  it('lets the first through at once, of any size, and the next when that is paid off', () => {
    const bucket = new TokenBucket(1_000, 100);
    expect(bucket.waitMs(0)).toBe(0);
    bucket.take(2_100, 0);
    expect(bucket.waitMs(0)).toBe(2_001);
    expect(bucket.waitMs(2_000)).toBe(1);
    expect(bucket.waitMs(2_001)).toBe(0);
  });

  it('saves up no more than its burst', () => {
    const bucket = new TokenBucket(1_000, 100);
    bucket.take(100, 0);
    expect(bucket.waitMs(60_000)).toBe(0);
    bucket.take(100, 60_000);
    expect(bucket.waitMs(60_000)).toBe(1);
  });

  it('takes back what was not used, and nothing from a clock that goes back', () => {
    const bucket = new TokenBucket(1_000, 100);
    bucket.take(1_100, 5_000);
    bucket.add(1_000);
    expect(bucket.waitMs(4_000)).toBe(1);
    expect(bucket.waitMs(5_001)).toBe(0);
  });

  it('lets a burst through whole, then as many as the rate allows', () => {
    const bucket = new TokenBucket(10, 3);
    const take = (nowMs: number): boolean => bucket.takeWhole(1, nowMs);
    expect([0, 0, 0, 0].map(take)).toEqual([true, true, true, false]);
    expect(bucket.wholeInMs(1, 50)).toBe(50);
    expect(take(99)).toBe(false);
    expect(take(100)).toBe(true);
    expect(take(150)).toBe(false);
    expect(take(10_000)).toBe(true);
    expect([10_000, 10_000, 10_000].map(take)).toEqual([true, true, false]);
  });

  it('says when a debt is paid off, and that nothing comes where nothing flows in', () => {
    const bucket = new TokenBucket(1_000, 100);
    bucket.take(100, 0);
    expect(bucket.debtMs(0)).toBe(0);
    bucket.take(50, 0);
    expect(bucket.debtMs(0)).toBe(50);
    expect(bucket.debtMs(49)).toBe(1);
    expect(bucket.debtMs(50)).toBe(0);
    const dry = new TokenBucket(0, 1);
    expect(dry.takeWhole(1, 0)).toBe(true);
    expect(dry.wholeInMs(1, 1_000_000)).toBe(Number.POSITIVE_INFINITY);
  });

  it('lets through what its rate says and no more than one piece and the burst above, over any time', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 5 }), (pieces) => {
        const bucket = new TokenBucket(1_000, 100);
        let nowMs = 0;
        let sent = 0;
        for (const piece of pieces) {
          nowMs += bucket.waitMs(nowMs);
          bucket.take(piece, nowMs);
          sent += piece;
        }
        expect(sent).toBeLessThanOrEqual(nowMs + 100 + 500);
        // Nothing is wasted either: whoever waited began within the millisecond in which it could.
        expect(nowMs).toBeLessThanOrEqual(sent + pieces.length);
      }),
    );
  });
});
