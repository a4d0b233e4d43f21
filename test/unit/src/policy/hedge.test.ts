import { describe, expect, it } from 'vitest';
import type { VersionCid } from '../../../../protocols/types.ts';
import { HedgeTimes, isWorthHedging } from '../../../../src/policy/hedge.ts';
import { LatencyQuantile } from '../../../../src/policy/latency-quantile.ts';
import { candidateOf } from '../../../support/candidates.ts';

const VERSION = 'bafy' as VersionCid;

describe('LatencyQuantile', () => {
  it('says nothing of fewer than 32 and forgets all but the last 128', () => {
    const quantile = new LatencyQuantile(0.95);
    for (let ms = 1; ms < 32; ms += 1) quantile.add(ms);
    expect(quantile.value).toBeNull();
    quantile.add(32);
    expect(quantile.value).toBe(31);
    for (let more = 0; more < 128; more += 1) quantile.add(1_000 + more);
    expect(quantile.value).toBe(1_000 + Math.ceil(0.95 * 128) - 1);
  });
});

describe('HedgeTimes', () => {
  function known(bodyBytes: number, ms: number): HedgeTimes {
    const times = new HedgeTimes();
    for (let answers = 0; answers < 32; answers += 1) times.answered(VERSION, bodyBytes, ms);
    return times;
  }

  it('are the 95th percentile of what the version took at such a size', () => {
    const times = known(1_000, 40);
    expect(times.afterMs(VERSION, 1_000, 10)).toBe(40);
    expect(times.afterMs(VERSION, 900, 10)).toBe(40);
    expect(times.afterMs(VERSION, 100_000, 10)).toBeNull();
    expect(times.afterMs('other' as VersionCid, 1_000, 10)).toBeNull();
  });

  it('give a node the time that was expected of it, and half of it more', () => {
    expect(known(1, 40).afterMs(VERSION, 1, 100)).toBe(150);
  });

  it('are never so short that a second request would not be sooner', () => {
    expect(known(1, 0.2).afterMs(VERSION, 1, 0.1)).toBe(2);
  });
});

describe('isWorthHedging', () => {
  it.each([
    [0, true],
    [1, true],
    [2, false],
    [9, false],
  ])('with %i requests on the second node says %j', (waiting, worth) => {
    expect(isWorthHedging(candidateOf('a', { waiting }), 0)).toBe(worth);
  });
});
