import { describe, expect, it } from 'vitest';
import {
  digestIntervalMs,
  digestLookMs,
  isDigestDue,
  isIdle,
} from '../../../../../src/policy/scaling/digest-schedule.ts';

function demand(arrivalsPerS: number, inFlight = 0) {
  const rates = { arrivalsPerS, refusalsPerS: 0, coldMissesPerS: 0 };
  return { stable: rates, panic: rates, inFlight, queueWaitMs: 0, serviceTimeMs: null };
}

const PACE = { stableWindowMs: 60_000, reporters: 2 };

describe('digestLookMs', () => {
  it('is a slice of the panic window, two seconds at most', () => {
    expect(digestLookMs({ panicWindowMs: 6_000 })).toBe(1_000);
    expect(digestLookMs({ panicWindowMs: 600 })).toBe(100);
    expect(digestLookMs({ panicWindowMs: 600_000 })).toBe(2_000);
  });
});

describe('isDigestDue', () => {
  it.each([
    ['the first time that it is asked for', undefined, demand(1), true],
    ['never while nobody asks', undefined, demand(0), false],
    ['at the interval, of what stays', { sinceMs: 10_000, perS: 8 }, demand(8), true],
    ['not before the interval, of what stays', { sinceMs: 9_999, perS: 8 }, demand(10), false],
    ['of a crowd that comes, after the spacing', { sinceMs: 400, perS: 8 }, demand(10.1), true],
    ['of a crowd that goes, after the spacing', { sinceMs: 400, perS: 8 }, demand(5.9), true],
    ['of no crowd within the spacing', { sinceMs: 399, perS: 8 }, demand(80), false],
    ['at once, that nobody asks any more', { sinceMs: 1, perS: 8 }, demand(0), true],
  ])('tells %s', (_, told, now, due) => {
    const before = told && { demand: demand(told.perS), atMs: 1_000 };
    const nowMs = 1_000 + (told?.sinceMs ?? 0);
    expect(isDigestDue(before, now, { ...PACE, nowMs })).toBe(due);
  });
});

describe('digestIntervalMs', () => {
  it('is a sixth of the stable window, or 200 ms for each reporter where that is more', () => {
    expect([1, 50, 51].map((reporters) => digestIntervalMs({ ...PACE, reporters }))).toEqual([
      ...[10_000, 10_000, 10_200],
    ]);
  });
});

describe('isIdle', () => {
  it('is what nobody asks for and nothing runs of', () => {
    expect([demand(0), demand(0, 0.1), demand(0.1)].map(isIdle)).toEqual([true, false, false]);
  });
});
