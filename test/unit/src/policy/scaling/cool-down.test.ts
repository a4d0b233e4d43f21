import { describe, expect, it } from 'vitest';
import { resolveDeployment } from '../../../../../protocols/manifest/index.ts';
import type { ReplicaState } from '../../../../../protocols/capacity/index.ts';
import type { NodeId, VersionCid } from '../../../../../protocols/types.ts';
import { isNeeded, rememberSpared } from '../../../../../src/policy/scaling/cool-down.ts';
import { firstMemory } from '../../../../../src/policy/scaling/scaling-memory.ts';
import type { DemandReport, VersionView } from '../../../../../src/policy/scaling/scaling-view.ts';

const LEFT_AT_MS = 1_000;

interface Told {
  readonly inFlight?: number;
  readonly refusalsPerS?: number;
  readonly coldMissesPerS?: number;
  readonly serviceTimeMs?: number;
  readonly ageMs?: number;
}

function reportOf(reporter: string, told: Told): DemandReport {
  const { inFlight = 1, refusalsPerS = 0, coldMissesPerS = 0, ...rest } = told;
  const rates = { arrivalsPerS: 10, refusalsPerS, coldMissesPerS };
  return {
    ...{ cid: 'version' as VersionCid, reporter: reporter as NodeId, role: 'node' },
    ...{ stable: rates, panic: rates, inFlight, queueWaitMs: 0, serviceTimeMs: 50 },
    ...{ ageMs: 0, intervalMs: 5_000, ...rest },
  };
}

function versionOf(
  states: Readonly<Record<string, ReplicaState>>,
  told: Told = {},
  latencyObjectiveMs?: number,
): VersionView {
  const replicas = Object.entries(states).map(([node, state]) => {
    return { node: node as NodeId, state, requestsPerS: 20, forMs: 60_000, confirmed: true };
  });
  return {
    ...{ cid: 'version' as VersionCid, memoryBytes: 1, fileBytes: 1, noticeAgeMs: null },
    ...{ replicas, phantoms: 0 },
    deployment: resolveDeployment({ targetInFlight: 4, latencyObjectiveMs }),
    reports: replicas.map(({ node }) => reportOf(node, told)),
  };
}

describe('isNeeded', () => {
  const READY = { n1: 'ready', n2: 'ready' } as const;
  const looked = (version: VersionView, panicPerS = 20): boolean => {
    const wishes = [20, 30, 10].map((requestsPerS, index) => ({ atMs: index, requestsPerS }));
    return isNeeded(version, { panicPerS }, { wishes }, { panicThreshold: 2 });
  };

  it('is so from more than twice on of the most that was wanted', () => {
    expect(looked(versionOf(READY), 60)).toBe(false);
    expect(looked(versionOf(READY), 60.1)).toBe(true);
  });

  it('is so where more than one request in a hundred is turned away, or missed', () => {
    expect(looked(versionOf(READY, { refusalsPerS: 0.1 }))).toBe(false);
    expect(looked(versionOf(READY, { refusalsPerS: 0.11 }))).toBe(true);
    expect(looked(versionOf(READY, { coldMissesPerS: 0.11 }))).toBe(true);
  });

  it('is so where more is in flight than the publisher aims at, by digests that are not overdue', () => {
    expect(looked(versionOf(READY, { inFlight: 4 }))).toBe(false);
    expect(looked(versionOf(READY, { inFlight: 4.1 }))).toBe(true);
    expect(looked(versionOf(READY, { inFlight: 4.1, ageMs: 10_000 }))).toBe(true);
    expect(looked(versionOf(READY, { inFlight: 4.1, ageMs: 10_001 }))).toBe(false);
  });

  it('is so where what is in flight takes longer than the latency objective', () => {
    expect(looked(versionOf(READY, { inFlight: 3 }, 150))).toBe(false);
    expect(looked(versionOf(READY, { inFlight: 3, serviceTimeMs: 51 }, 150))).toBe(true);
  });

  it('does not go by what those tell that serve no more', () => {
    const version = versionOf({ n1: 'ready', n2: 'cold' });
    const reports = [reportOf('n1', {}), reportOf('n2', { inFlight: 100, refusalsPerS: 100 })];
    expect(looked({ ...version, reports })).toBe(false);
  });
});

describe('rememberSpared', () => {
  const LOOKED_AT_MS = 5_000;
  const NOW_MS = 7_000;
  const memory = {
    ...firstMemory(0),
    seen: { atMs: LOOKED_AT_MS, requestsPerS: 0 },
    sparedAtMs: LEFT_AT_MS,
    holders: new Map([
      ['n1' as NodeId, { atMs: LOOKED_AT_MS, requestsPerS: 20 }],
      ['n2' as NodeId, { atMs: LOOKED_AT_MS, requestsPerS: 20 }],
      ['n3' as NodeId, { atMs: LOOKED_AT_MS - 2_000, requestsPerS: 20 }],
    ]),
  };
  const after = (states: Readonly<Record<string, ReplicaState>>, isEnough = true): number => {
    return rememberSpared(versionOf(states), memory, isEnough, NOW_MS);
  };

  it('keeps what it knew while all that served at the last look serve', () => {
    expect(after({ n1: 'ready', n2: 'ready' })).toBe(LEFT_AT_MS);
  });

  it('is now when one left memory and kept its files, and enough stayed', () => {
    expect(after({ n1: 'ready', n2: 'cold' })).toBe(NOW_MS);
  });

  it('is never when one that left leaves too few behind', () => {
    expect(after({ n1: 'ready', n2: 'cold' }, false)).toBe(0);
  });

  it('is never when one died, went without a trace or is quarantined, though another left in the same moment', () => {
    expect(after({ n1: 'ready' })).toBe(0);
    expect(after({ n1: 'ready', n2: 'gone' })).toBe(0);
    expect(after({ n1: 'cold', n2: 'quarantined' })).toBe(0);
  });
});
