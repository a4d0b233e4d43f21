import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenBucket } from '../../../../protocols/transfer/token-bucket.ts';

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
    bucket.refund(1_000);
    expect(bucket.waitMs(4_000)).toBe(1);
    expect(bucket.waitMs(5_001)).toBe(0);
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
