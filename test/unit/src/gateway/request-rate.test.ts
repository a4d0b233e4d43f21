import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RequestRate } from '../../../../src/gateway/request-rate.ts';

describe('RequestRate', () => {
  it('lets a second of requests through at once, then one by one', () => {
    const rate = new RequestRate(4);
    expect([0, 0, 0, 0, 0].map((nowMs) => rate.admit(nowMs))).toEqual([0, 0, 0, 0, 250]);
    expect([249, 250, 250].map((nowMs) => rate.admit(nowMs))).toEqual([1, 0, 250]);
    expect([10_000, 10_000, 10_000, 10_000].map((nowMs) => rate.admit(nowMs))).toEqual([
      0, 0, 0, 0,
    ]);
  });

  it('lets one through at a time below one a second', () => {
    const rate = new RequestRate(0.5);
    expect([0, 0, 1999, 2000].map((nowMs) => rate.admit(nowMs))).toEqual([0, 2000, 1, 0]);
  });

  it('never lets more through than the rate and one burst', () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(gaps, fc.integer({ min: 1, max: 50 }), (steps, perSecond) => {
        const rate = new RequestRate(perSecond);
        let nowMs = 0;
        let admitted = 0;
        for (const step of steps) {
          nowMs += step;
          if (rate.admit(nowMs) === 0) admitted += 1;
        }
        expect(admitted).toBeLessThanOrEqual(perSecond + (nowMs / 1000) * perSecond);
      }),
    );
  });
});
