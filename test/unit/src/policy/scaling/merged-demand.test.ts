import { describe, expect, it } from 'vitest';
import { resolveDeployment } from '../../../../../protocols/manifest/index.ts';
import type { NodeId, VersionCid } from '../../../../../protocols/types.ts';
import { mergeDemand } from '../../../../../src/policy/scaling/merged-demand.ts';
import { measureCapacity } from '../../../../../src/policy/scaling/replica-capacity.ts';
import type { FormerHolder } from '../../../../../src/policy/scaling/scaling-memory.ts';
import { resolveScalingInit } from '../../../../../src/policy/scaling/scaling-settings.ts';
import type { DemandReport, VersionView } from '../../../../../src/policy/scaling/scaling-view.ts';

const SETTINGS = resolveScalingInit();
const cid = 'hot' as VersionCid;

interface Holder {
  readonly perS: number;
  readonly offeredPerS: number;
  readonly forMs?: number;
}

function view(holders: readonly Holder[], others: readonly DemandReport[] = []): VersionView {
  return {
    ...{ cid, memoryBytes: 1, fileBytes: 1, noticeAgeMs: null, phantoms: 0 },
    deployment: resolveDeployment({}),
    replicas: holders.map(({ perS, forMs = 1e6 }, index) => ({
      ...({ state: 'ready', requestsPerS: perS, forMs, confirmed: true } as const),
      node: `holder-${index}` as NodeId,
    })),
    reports: [
      ...holders.map(({ offeredPerS }, index) => report(`holder-${index}`, offeredPerS)),
      ...others,
    ],
  };
}

function report(reporter: string, perS: number, more: Partial<DemandReport> = {}): DemandReport {
  const rates = { arrivalsPerS: perS / 2, refusalsPerS: perS / 4, coldMissesPerS: perS / 4 };
  return {
    ...{ cid, role: 'node', stable: rates, panic: rates, inFlight: 0, queueWaitMs: 0 },
    ...{ reporter: reporter as NodeId, serviceTimeMs: null, ageMs: 0, intervalMs: 2_000, ...more },
  };
}

function merged(version: VersionView, former: readonly [string, FormerHolder][] = []) {
  const holders = new Map(former.map(([node, held]) => [node as NodeId, held]));
  return mergeDemand(version, measureCapacity(version, SETTINGS.stableWindowMs), holders, SETTINGS);
}

describe('mergeDemand', () => {
  it('adds up what holders were asked for, whatever became of it', () => {
    const holders = [
      { perS: 10, offeredPerS: 6 },
      { perS: 60, offeredPerS: 36 },
      { perS: 5, offeredPerS: 3 },
    ];
    expect(merged(view(holders))).toMatchObject({ stablePerS: 45, panicPerS: 45, witnesses: 3 });
  });

  it('takes one that tells of a thousand times as much for half as busy again as the middle one', () => {
    const honest = Array.from({ length: 19 }, () => ({ perS: 10, offeredPerS: 8 }));
    const { stablePerS } = merged(view([...honest, { perS: 10, offeredPerS: 8_000 }]));
    expect(stablePerS).toBeCloseTo(19 * 8 + 1.5 * 8, 6);
  });

  it('takes one that tells of nothing for half as busy as the middle one, but not one that has just begun', () => {
    const honest = Array.from({ length: 19 }, () => ({ perS: 10, offeredPerS: 8 }));
    const silent = { perS: 10, offeredPerS: 0 };
    expect(merged(view([...honest, silent])).stablePerS).toBeCloseTo(19 * 8 + 4, 6);
    expect(merged(view([...honest, { ...silent, forMs: 0 }])).stablePerS).toBeCloseTo(19 * 8, 6);
  });

  it('counts one that says it is a million times as fast as four usual ones', () => {
    const honest = Array.from({ length: 19 }, () => ({ perS: 10, offeredPerS: 8 }));
    const { stablePerS } = merged(view([...honest, { perS: 1e7, offeredPerS: 1e9 }]));
    expect(stablePerS).toBeLessThanOrEqual(19 * 8 + 4 * 12);
  });

  it('believes the fastest, who does all there is to do while the others idle', () => {
    const holders = [
      { perS: 100, offeredPerS: 50 },
      { perS: 20, offeredPerS: 0 },
      { perS: 20, offeredPerS: 0 },
    ];
    expect(merged(view(holders)).stablePerS).toBeCloseTo(50, 6);
  });

  it('lets what others than holders tell add a tenth, or one replica while there is none', () => {
    const outside = report('passer-by', 1e6);
    const client = report('client', 1e6, { role: 'client' });
    const holders = [{ perS: 10, offeredPerS: 8 }];
    expect(merged(view(holders, [outside, client])).stablePerS).toBeCloseTo(8.8, 6);
    expect(merged(view([], [client])).stablePerS).toBe(50);
    expect(merged(view([], [report('client', 0.5, { role: 'client' })])).stablePerS).toBe(0.5);
  });

  it('takes holders that were not heard of to be as busy as the others, but not those that have just begun', () => {
    const heard = Array.from({ length: 4 }, () => ({ perS: 10, offeredPerS: 5 }));
    const silent = { perS: 30, offeredPerS: 0 };
    const version = view([...heard, silent, { ...silent, forMs: 5_000 }]);
    const reports = version.reports.slice(0, heard.length);
    expect(merged({ ...version, reports }).stablePerS).toBeCloseTo(4 * 5 + 15, 6);
  });

  it('lets the word of a holder that died fade as the windows of the others fill', () => {
    const at = (ageMs: number): number => {
      const dead = report('dead', 8, { ageMs });
      return merged(view([{ perS: 10, offeredPerS: 8 }], [dead]), [
        ['dead', { atMs: 0, requestsPerS: 10 }],
      ]).stablePerS;
    };
    expect(at(0)).toBeCloseTo(16, 6);
    expect(at(30_000)).toBeCloseTo(12, 6);
    expect(at(60_000)).toBeCloseTo(8, 6);
  });

  it('takes one that has left and is not asked any more for idle, not for a liar', () => {
    const holders = Array.from({ length: 3 }, () => ({ perS: 10, offeredPerS: 8 }));
    const gone = merged(view(holders, [report('left', 0)]), [
      ['left', { atMs: 0, requestsPerS: 10 }],
    ]);
    expect(gone.stablePerS).toBeCloseTo(24, 6);
  });

  it('adds to a panic what has to be caught up on: what waits beyond the aim, within a panic window', () => {
    const busy = view([]);
    const waiting = report('holder-0', 10, { inFlight: 64 });
    const version = { ...view([{ perS: 10, offeredPerS: 10 }]), reports: [waiting] };
    expect(merged(version)).toMatchObject({ stablePerS: 10, panicPerS: 15 });
    const little = { ...waiting, inFlight: 4 + 12 };
    expect(merged({ ...version, reports: [little] })).toMatchObject({ panicPerS: 12 });
    expect(merged(busy)).toMatchObject({ stablePerS: 0, panicPerS: 0, asked: false });
  });

  it('knows that somebody asks from the panic window alone', () => {
    const long = { arrivalsPerS: 1, refusalsPerS: 0, coldMissesPerS: 0 };
    const none = { arrivalsPerS: 0, refusalsPerS: 0, coldMissesPerS: 0 };
    const version = view([{ perS: 10, offeredPerS: 0 }]);
    const quiet = report('holder-0', 0, { stable: long, panic: none });
    expect(merged({ ...version, reports: [quiet] }).asked).toBe(false);
    expect(merged({ ...version, reports: [{ ...quiet, panic: long }] }).asked).toBe(true);
    expect(merged({ ...version, reports: [{ ...quiet, inFlight: 1 }] }).asked).toBe(true);
    const stale = { ...quiet, panic: long, ageMs: 9_000 };
    expect(merged({ ...version, reports: [stale] }).asked).toBe(false);
  });
});
