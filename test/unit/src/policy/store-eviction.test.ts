import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { VersionCid } from '../../../../protocols/types.ts';
import {
  mustStay,
  planEviction,
  type StoredCandidate,
  worthPerByte,
} from '../../../../src/policy/store-eviction.ts';

const DAY_MS = 24 * 3_600_000;
const NOW_MS = 100 * DAY_MS;

function candidate(name: string, change: Partial<StoredCandidate> = {}): StoredCandidate {
  return {
    cid: name as VersionCid,
    freedBytes: 100,
    sharedFiles: [],
    lastUsedMs: NOW_MS,
    uses: 0,
    otherHolders: 2,
    released: true,
    pinned: false,
    inUse: false,
    ...change,
  };
}

const names = (plan: ReturnType<typeof planEviction>): string[] =>
  plan.victims.map(({ cid }) => cid);

describe('planEviction', () => {
  it.each([
    ['pinned', { pinned: true }],
    ['in use', { inUse: true }],
    ['the last known copy of a released version', { otherHolders: 0 }],
  ])('never takes what is %s, however old it is', (_, change) => {
    const kept = candidate('kept', { ...change, lastUsedMs: 0 });
    expect(mustStay(kept)).toBe(true);
    expect(planEviction([kept], 1, NOW_MS)).toEqual({ victims: [], freedBytes: 0, enough: false });
  });

  it('takes the last known copy of a version that no release names', () => {
    const plan = planEviction([candidate('a', { otherHolders: 0, released: false })], 1, NOW_MS);
    expect(names(plan)).toEqual(['a']);
  });

  it.each([
    ['was used longest ago', { lastUsedMs: NOW_MS - 8 * DAY_MS }, {}],
    ['was used least', { uses: 1 }, { uses: 5 }],
    ['has most other holders to be fetched from', { otherHolders: 5 }, { otherHolders: 1 }],
    ['was used often, but long ago', { uses: 7, lastUsedMs: NOW_MS - 28 * DAY_MS }, { uses: 1 }],
  ])('takes first what %s', (_, first, second) => {
    const plan = planEviction([candidate('b', second), candidate('a', first)], 100, NOW_MS);
    expect(names(plan)).toEqual(['a']);
  });

  it('takes as many as are needed, and one byte more takes the next', () => {
    const all = ['a', 'b', 'c'].map((name, index) => candidate(name, { uses: index }));
    expect(names(planEviction(all, 200, NOW_MS))).toEqual(['a', 'b']);
    expect(names(planEviction(all, 201, NOW_MS))).toEqual(['a', 'b', 'c']);
  });

  it('spares small ones that a large one made needless', () => {
    const all = [
      candidate('small', { freedBytes: 10 }),
      candidate('large', { freedBytes: 1_000, uses: 3 }),
    ];
    expect(planEviction(all, 500, NOW_MS)).toMatchObject({ freedBytes: 1_000, enough: true });
    expect(names(planEviction(all, 500, NOW_MS))).toEqual(['large']);
  });

  it('takes nothing when all that may go is not enough', () => {
    const all = [candidate('a'), candidate('b', { pinned: true })];
    expect(planEviction(all, 101, NOW_MS)).toEqual({ victims: [], freedBytes: 100, enough: false });
  });

  it('takes all versions that have a large file when one of them alone gives too little back', () => {
    const sharedFiles = [{ id: 'f', bytes: 1_000, versions: 2 }];
    const packed = candidate('packed', { freedBytes: 10, sharedFiles });
    const whole = candidate('whole', { freedBytes: 0, sharedFiles, uses: 3 });
    expect(planEviction([packed, whole], 1_000, NOW_MS)).toEqual({
      victims: [
        { cid: 'packed', freedBytes: 10 },
        { cid: 'whole', freedBytes: 1_000 },
      ],
      freedBytes: 1_010,
      enough: true,
    });
    const used = { ...whole, inUse: true };
    expect(planEviction([packed, used], 1_000, NOW_MS).enough).toBe(false);
  });

  it('takes nothing that frees nothing', () => {
    const all = [candidate('shared', { freedBytes: 0 }), candidate('a', { uses: 9 })];
    expect(names(planEviction(all, 50, NOW_MS))).toEqual(['a']);
  });

  it('frees enough without one victim too many, and never what must stay, for any store', () => {
    const stored = fc.record({
      freedBytes: fc.nat(1_000),
      lastUsedMs: fc.nat(NOW_MS),
      uses: fc.nat(50),
      otherHolders: fc.nat(3),
      released: fc.boolean(),
      pinned: fc.boolean(),
      inUse: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(stored), fc.integer({ min: 1, max: 5_000 }), (changes, neededBytes) => {
        const all = changes.map((change, index) => candidate(`v${index}`, change));
        const { victims, freedBytes, enough } = planEviction(all, neededBytes, NOW_MS);
        const staying = all.filter(mustStay).map(({ cid }) => cid);
        expect(victims.filter(({ cid }) => staying.includes(cid))).toEqual([]);
        const sum = victims.reduce((total, victim) => total + victim.freedBytes, 0);
        const possible = all
          .filter((one) => !mustStay(one))
          .reduce((total, one) => total + one.freedBytes, 0);
        expect(enough).toBe(possible >= neededBytes);
        if (!enough) {
          expect(victims).toEqual([]);
          return;
        }
        expect(freedBytes).toBe(sum);
        expect(sum).toBeGreaterThanOrEqual(neededBytes);
        const least = Math.min(...victims.map((victim) => victim.freedBytes));
        expect(sum - least).toBeLessThan(neededBytes);
      }),
    );
  });

  it('worthPerByte halves with every week without use', () => {
    const week = candidate('a', { uses: 3, otherHolders: 1, lastUsedMs: NOW_MS - 7 * DAY_MS });
    expect(worthPerByte({ ...week, lastUsedMs: NOW_MS }, NOW_MS)).toBe(4);
    expect(worthPerByte(week, NOW_MS)).toBe(2);
    expect(worthPerByte({ ...week, lastUsedMs: NOW_MS + DAY_MS }, NOW_MS)).toBe(4);
  });
});
