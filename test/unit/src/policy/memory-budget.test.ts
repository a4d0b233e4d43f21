import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  freeBytes,
  type MemoryPool,
  planMemory,
  type Resident,
  worthPerByte,
} from '../../../../src/policy/memory-budget.ts';

const MINUTE_MS = 60_000;
const NOW_MS = 100 * MINUTE_MS;
const POOL: MemoryPool = { id: 'host', totalBytes: 1_000, availableBytes: null };

function resident(cid: string, change: Partial<Resident> = {}): Resident {
  return {
    cid,
    bytes: 300,
    settled: true,
    busy: false,
    lastUsedMs: NOW_MS,
    uses: 0,
    loadMs: 1_000,
    ...change,
  };
}

const victims = (plan: ReturnType<typeof planMemory>): string[] | string =>
  plan.fits ? plan.victims.map(({ cid }) => cid) : 'refused';

describe('freeBytes', () => {
  it('is what is not reserved, and at most what the system has beyond loads under way', () => {
    const residents = [resident('there'), resident('loading', { settled: false, bytes: 200 })];
    expect(freeBytes(POOL, residents)).toBe(500);
    expect(freeBytes({ ...POOL, availableBytes: 600 }, residents)).toBe(400);
    expect(freeBytes({ ...POOL, availableBytes: 100 }, residents)).toBe(0);
  });

  it('knows no bound where neither total nor available bytes are known', () => {
    const pool = { totalBytes: null, availableBytes: null };
    expect(freeBytes(pool, [resident('any')])).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('worthPerByte', () => {
  it('halves with ten minutes, grows with uses and load time, falls with bytes', () => {
    const worth = worthPerByte(resident('a', { uses: 3 }), NOW_MS);
    expect(worthPerByte(resident('a', { uses: 3 }), NOW_MS + 10 * MINUTE_MS)).toBeCloseTo(
      worth / 2,
    );
    expect(worthPerByte(resident('a', { uses: 7 }), NOW_MS)).toBeCloseTo(worth * 2);
    expect(worthPerByte(resident('a', { uses: 3, loadMs: 2_000 }), NOW_MS)).toBeCloseTo(worth * 2);
    expect(worthPerByte(resident('a', { uses: 3, bytes: 600 }), NOW_MS)).toBeCloseTo(worth / 2);
  });
});

describe('planMemory', () => {
  it('takes no version away where there is room, to the byte', () => {
    expect(victims(planMemory(POOL, [resident('a')], 700, NOW_MS))).toEqual([]);
    expect(victims(planMemory(POOL, [resident('a')], 701, NOW_MS))).toEqual(['a']);
  });

  it('takes the least worth first, and no more than needed', () => {
    const residents = [
      resident('hot', { uses: 100 }),
      resident('stale', { uses: 100, lastUsedMs: 0 }),
      resident('cheap', { loadMs: 500 }),
    ];
    expect(victims(planMemory(POOL, residents, 300, NOW_MS))).toEqual(['stale']);
    expect(victims(planMemory(POOL, residents, 700, NOW_MS))).toEqual(['stale', 'cheap']);
  });

  it('spares small ones that a larger one makes needless', () => {
    const residents = [
      resident('small', { bytes: 100, loadMs: 1 }),
      resident('large', { bytes: 900, loadMs: 100 }),
    ];
    expect(victims(planMemory(POOL, residents, 800, NOW_MS))).toEqual(['large']);
  });

  it('never takes what is busy or still loads, and says what is lacking', () => {
    const residents = [
      resident('busy', { busy: true }),
      resident('loading', { settled: false }),
      resident('idle'),
    ];
    expect(planMemory(POOL, residents, 500, NOW_MS)).toEqual({
      fits: false,
      never: false,
      neededBytes: 500,
      freeBytes: 100,
      idleBytes: 300,
      totalBytes: 1_000,
    });
    expect(planMemory(POOL, [], 1_001, NOW_MS)).toMatchObject({ fits: false, never: true });
  });

  it('stays within its pool and takes no busy one, whatever there is', () => {
    const any = fc.record({
      bytes: fc.nat(500),
      settled: fc.boolean(),
      busy: fc.boolean(),
      lastUsedMs: fc.nat(NOW_MS),
      uses: fc.nat(100),
      loadMs: fc.nat(10_000),
    });
    fc.assert(
      fc.property(fc.array(any, { maxLength: 8 }), fc.nat(1_200), (found, needed) => {
        const residents = found.map((one, index) => ({ cid: `${index}`, ...one }));
        const plan = planMemory(POOL, residents, needed, NOW_MS);
        if (!plan.fits) return;
        expect(plan.victims.some(({ busy, settled }) => busy || !settled)).toBe(false);
        const kept = residents.filter((one) => !plan.victims.includes(one));
        expect(needed).toBeLessThanOrEqual(freeBytes(POOL, kept));
      }),
    );
  });
});
