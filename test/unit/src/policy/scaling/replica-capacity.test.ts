import { describe, expect, it } from 'vitest';
import { resolveDeployment } from '../../../../../protocols/manifest/index.ts';
import type { NodeId, VersionCid } from '../../../../../protocols/types.ts';
import {
  isCapacityMeasured,
  measureCapacity,
} from '../../../../../src/policy/scaling/replica-capacity.ts';
import type { VersionView } from '../../../../../src/policy/scaling/scaling-view.ts';

const WINDOW_MS = 60_000;
const cid = 'hot' as VersionCid;

interface Holder {
  readonly saysPerS: number | null;
  readonly offeredPerS: number;
  readonly forMs?: number;
  readonly ageMs?: number;
}

function versionOf(holders: readonly Holder[]): VersionView {
  const replicas = holders.map(({ saysPerS, forMs = 1e6 }, index) => ({
    ...({ state: 'ready', requestsPerS: saysPerS, forMs, confirmed: true } as const),
    node: `holder-${index}` as NodeId,
  }));
  return {
    ...{ cid, memoryBytes: 1, fileBytes: 1, noticeAgeMs: null, replicas, phantoms: 0 },
    deployment: resolveDeployment({}),
    reports: holders.map(({ offeredPerS, ageMs = 0 }, index) => {
      const rates = { arrivalsPerS: offeredPerS, refusalsPerS: 0, coldMissesPerS: 0 };
      return {
        ...{ cid, role: 'node', stable: rates, panic: rates, inFlight: 0, queueWaitMs: 0 },
        ...{ reporter: `holder-${index}` as NodeId, serviceTimeMs: null, intervalMs: 10_000 },
        ageMs,
      };
    }),
  };
}

function capacitiesOf(holders: readonly Holder[]): number[] {
  const version = versionOf(holders);
  const capacity = measureCapacity(version, WINDOW_MS);
  return version.replicas.map((replica) => capacity.of(replica));
}

const honest = Array.from({ length: 5 }, () => ({ saysPerS: 10, offeredPerS: 6 }));

describe('measureCapacity', () => {
  it('takes one that says it is eight times as fast for half as fast again as the others, when it is asked for no more', () => {
    const [liar] = capacitiesOf([{ saysPerS: 80, offeredPerS: 6 }, ...honest]);
    expect(liar).toBeCloseTo(15, 9);
  });

  it('believes a fast one that is asked for as much of what it says as the others, up to four times the middle one', () => {
    expect(capacitiesOf([{ saysPerS: 30, offeredPerS: 18 }, ...honest])[0]).toBe(30);
    expect(capacitiesOf([{ saysPerS: 30, offeredPerS: 12 }, ...honest])[0]).toBe(30);
    expect(capacitiesOf([{ saysPerS: 80, offeredPerS: 48 }, ...honest])[0]).toBe(40);
  });

  it('takes nobody for slower than the middle one because it is asked for little', () => {
    expect(capacitiesOf([{ saysPerS: 80, offeredPerS: 0 }, ...honest])[0]).toBe(10);
    expect(capacitiesOf([{ saysPerS: 5, offeredPerS: 0 }, ...honest])[0]).toBe(5);
  });

  it.each<[string, readonly Holder[]]>([
    ['that has not served for a whole window', [{ ...fast(), forMs: 59_999 }, ...honest]],
    ['whose word is overdue', [{ ...fast(), ageMs: 20_001 }, ...honest]],
    ['beside one other', [fast(), { saysPerS: 10, offeredPerS: 6 }]],
    [
      'where the middle one is not asked at all',
      [fast(), ...honest.map(idle), ...honest.map(idle)],
    ],
  ])('doubts none %s', (_, holders) => {
    const [first] = capacitiesOf(holders);
    expect(first).toBeGreaterThan(20);
  });
});

function fast(): Holder {
  return { saysPerS: 30, offeredPerS: 6 };
}

function idle(holder: Holder): Holder {
  return { ...holder, offeredPerS: 0 };
}

describe('isCapacityMeasured', () => {
  const windows = { stableWindowMs: WINDOW_MS, panicWindowMs: 6_000 };

  /** Requests of each holder within the panic window, and before it. */
  function isMeasured(...holders: readonly (readonly [late: number, before: number])[]): boolean {
    const version = versionOf(holders.map(() => ({ saysPerS: 20_000, offeredPerS: 0 })));
    const reports = version.reports.map((report, index) => {
      const [late, before] = holders[index] ?? [0, 0];
      return {
        ...report,
        stable: { ...report.stable, arrivalsPerS: (late + before) / 60 },
        panic: { ...report.panic, arrivalsPerS: late / 6 },
      };
    });
    return isCapacityMeasured({ ...version, reports }, windows);
  }

  it('is false where there is no replica, and before one had a request', () => {
    expect(isMeasured()).toBe(false);
    expect(isMeasured([0, 0])).toBe(false);
  });

  it('takes ten requests of each replica that is ready, and no fewer', () => {
    expect(isMeasured([1, 11], [1, 11])).toBe(true);
    expect(isMeasured([1, 11], [1, 9])).toBe(false);
  });

  it('does not count those that no announcement may have told of yet', () => {
    expect(isMeasured([300, 0])).toBe(false);
  });

  it('is false again when nothing has come for so long that the node may have forgotten', () => {
    expect(isMeasured([0, 300])).toBe(false);
  });

  it('does not wait for one that is on its way', () => {
    const version = versionOf([
      { saysPerS: 10, offeredPerS: 1 },
      { saysPerS: null, offeredPerS: 0 },
    ]);
    const replicas = version.replicas.map((one, index) =>
      index === 0 ? one : { ...one, state: 'loading' as const },
    );
    expect(isCapacityMeasured({ ...version, replicas }, windows)).toBe(true);
  });
});
