import { describe, expect, it } from 'vitest';
import type { VersionCid } from '../../../../protocols/types.ts';
import { selectOwed, wantedWithout } from '../../../../src/policy/handover.ts';

const version = (wanted: number, ready: number, takers: number) => ({
  cid: `${wanted}-${ready}-${takers}` as VersionCid,
  wanted,
  ready,
  takers,
});

describe('selectOwed', () => {
  it.each([
    { case: 'as many as are wanted are READY elsewhere', ...version(2, 2, 0), owed: false },
    { case: 'one lacks, and somebody can make it', ...version(2, 1, 1), owed: true },
    { case: 'one lacks, and nobody can make it', ...version(2, 1, 0), owed: false },
    { case: 'nobody else serves it, and somebody can', ...version(1, 0, 3), owed: true },
    { case: 'nobody else serves it, and nobody can', ...version(1, 0, 0), owed: false },
    { case: 'none is wanted', ...version(0, 0, 5), owed: false },
  ])('waits for others: $owed, when $case', ({ owed, ...one }) => {
    expect(selectOwed([one])).toEqual(owed ? [one] : []);
  });
});

describe('wantedWithout', () => {
  const idle = { minReplicas: 0, scaleToZeroDelayMs: 1_000 };

  it('is the publisher’s minimum', () => {
    expect(wantedWithout({ minReplicas: 3, scaleToZeroDelayMs: 1_000 }, 5_000)).toBe(3);
  });

  it('is one of a version that may go to zero, until nobody has asked for it for as long as that takes', () => {
    expect(wantedWithout(idle, 999)).toBe(1);
    expect(wantedWithout(idle, 1_000)).toBe(0);
  });
});
