import { describe, expect, it } from 'vitest';
import { RateMeter } from '../../../../src/cli/rate-meter.ts';

describe('RateMeter', () => {
  it('knows no rate and no time left from a single moment', () => {
    const meter = new RateMeter();
    meter.add(100, 0);
    expect([meter.rate(), meter.etaMs(200)]).toEqual([null, null]);
  });

  it('gives the rate of the last five seconds, and the time left at it', () => {
    const meter = new RateMeter();
    for (let second = 0; second <= 10; second += 1) meter.add(second * 1_000, second * 1_000);
    expect(meter.rate()).toBe(1_000);
    for (let second = 11; second <= 16; second += 1) {
      meter.add(10_000 + (second - 10) * 3_000, second * 1_000);
    }
    expect(meter.rate()).toBe(3_000);
    expect(meter.etaMs(31_000)).toBe(1_000);
  });

  it('knows no time left when nothing moves', () => {
    const meter = new RateMeter();
    for (const atMs of [0, 1_000]) meter.add(500, atMs);
    expect([meter.rate(), meter.etaMs(1_000)]).toEqual([0, null]);
  });
});
