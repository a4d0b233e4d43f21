import { describe, expect, it } from 'vitest';
import { resolveScalingInit } from '../../../../../src/policy/scaling/scaling-settings.ts';

describe('resolveScalingInit', () => {
  it('gives the defaults of docs/scaling.md', () => {
    expect(resolveScalingInit()).toEqual({
      stableWindowMs: 60_000,
      panicWindowMs: 6_000,
      panicThreshold: 2,
      targetUtilisation: 0.7,
      tickMs: 2_000,
      upDelayMs: 6_000,
      downDelayMs: 300_000,
      claimSpreadMs: 1_000,
      recruitIntervalMs: 10_000,
      moveGain: 1.25,
      prefetchShare: 0.25,
      maxLoading: 1,
    });
  });

  it('keeps what is given, zero included', () => {
    expect(resolveScalingInit({ upDelayMs: 0, stableWindowMs: 6_000 })).toMatchObject({
      upDelayMs: 0,
      stableWindowMs: 6_000,
      panicWindowMs: 6_000,
    });
  });

  it.each([
    [{ targetUtilisation: 0 }, /targetUtilisation is 0, expected 0.01 to 1/],
    [{ targetUtilisation: 1.01 }, /targetUtilisation/],
    [{ panicThreshold: 0.99 }, /panicThreshold/],
    [{ downDelayMs: -1 }, /downDelayMs/],
    [{ tickMs: Number.NaN }, /tickMs is NaN/],
    [{ maxLoading: 65 }, /maxLoading/],
    [{ maxLoading: 1.5 }, /maxLoading is 1.5, expected a whole number, 1 to 64/],
    [{ stableWindowMs: 60_000.5 }, /stableWindowMs is 60000.5, expected a whole number, 100 to/],
    [{ stableWindowMs: 5_999 }, /panicWindowMs is 6000, expected at most stableWindowMs of 5999/],
  ])('refuses %o', (init, message) => {
    expect(() => resolveScalingInit(init)).toThrow(message);
  });
});
