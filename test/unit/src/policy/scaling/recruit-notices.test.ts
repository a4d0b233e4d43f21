import { describe, expect, it } from 'vitest';
import { resolveDeployment } from '../../../../../protocols/manifest/index.ts';
import type { NodeId, OwnerId, VersionCid } from '../../../../../protocols/types.ts';
import { planReplicas } from '../../../../../src/policy/scaling/plan-replicas.ts';
import { EMPTY_SCALING_MEMORY } from '../../../../../src/policy/scaling/scaling-memory.ts';
import { resolveScalingInit } from '../../../../../src/policy/scaling/scaling-settings.ts';
import type { ScalingNode, VersionView } from '../../../../../src/policy/scaling/scaling-view.ts';

const cid = 'hot' as VersionCid;
const holder = 'holder' as NodeId;
const settings = resolveScalingInit();

interface Situation {
  readonly askedPerS?: number;
  readonly copies?: number;
  readonly population?: number;
  readonly noticeAgeMs?: number | null;
  readonly chance?: number;
}

/** What the only holder of a version, which can do ten requests a second, says to all at its first look. */
function noticesOf(situation: Situation): readonly VersionCid[] {
  const {
    askedPerS = 6.5,
    copies = 0,
    population = 1,
    noticeAgeMs = null,
    chance = 0.4,
  } = situation;
  const rates = { arrivalsPerS: askedPerS, refusalsPerS: 0, coldMissesPerS: 0 };
  const node: ScalingNode = {
    ...{ node: holder, owner: 'owner' as OwnerId, zone: '', accepting: true, providers: ['cpu'] },
    ...{ memoryFreeBytes: 0, speed: 1, costPerHour: null, serving: 1, busyShare: 0.6 },
    diskFreeBytes: 0,
  };
  const part = { requestsPerS: null, forMs: 1e6 } as const;
  const version: VersionView = {
    ...{ cid, memoryBytes: 1, fileBytes: 1, noticeAgeMs },
    deployment: resolveDeployment({ minReplicas: 1 }),
    replicas: [
      { node: holder, state: 'ready', requestsPerS: 10, forMs: 1e6 },
      ...Array.from({ length: copies }, (_, index) => ({
        ...({ state: 'cold', ...part } as const),
        node: `copy-${index}` as NodeId,
      })),
    ],
    reports: [
      {
        ...{ cid, reporter: holder, role: 'node', stable: rates, panic: rates, inFlight: 0 },
        ...{ queueWaitMs: 0, serviceTimeMs: 100, ageMs: 0, intervalMs: 10_000 },
      },
    ],
  };
  const nobody = new Set<never>();
  const self = { node, refused: nobody, pinned: nobody, loading: 0, settings };
  const view = { versions: [version], nodes: [node], population };
  const memory = EMPTY_SCALING_MEMORY;
  return planReplicas(view, { ...self, memory }, 1e6, () => chance).notices;
}

describe('planReplicas', () => {
  it('calls for spare copies of a version whose demand comes near what its replicas are for', () => {
    expect(noticesOf({})).toEqual([cid]);
    expect(noticesOf({ askedPerS: 5 })).toEqual([]);
    expect(noticesOf({ copies: 1 })).toEqual([]);
  });

  it('calls for spare copies half a time a second in the whole swarm, and not where somebody has just spoken', () => {
    // One look in two seconds: in a swarm of ten each of ten looks has a chance of a tenth.
    expect(noticesOf({ population: 10, chance: 0.09 })).toEqual([cid]);
    expect(noticesOf({ population: 10, chance: 0.11 })).toEqual([]);
    expect(noticesOf({ noticeAgeMs: 9_999 })).toEqual([]);
    expect(noticesOf({ noticeAgeMs: 10_000 })).toEqual([cid]);
  });
});
