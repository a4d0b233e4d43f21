import { describe, expect, it } from 'vitest';
import type { ReplicaState } from '../../../../../protocols/capacity/index.ts';
import { resolveDeployment } from '../../../../../protocols/manifest/index.ts';
import type { NodeId, VersionCid } from '../../../../../protocols/types.ts';
import {
  firstMemory,
  type VersionMemory,
} from '../../../../../src/policy/scaling/scaling-memory.ts';
import { resolveScalingInit } from '../../../../../src/policy/scaling/scaling-settings.ts';
import type { VersionView } from '../../../../../src/policy/scaling/scaling-view.ts';
import { assessVersion, nodeOf } from '../../../../../src/policy/scaling/version-state.ts';

const CID = 'version' as VersionCid;

/** What is remembered after looks at such replicas, two seconds apart from the first second on. */
function memoryAfter(
  ...looks: readonly Readonly<Record<string, ReplicaState>>[]
): VersionMemory | undefined {
  let memory: ReadonlyMap<VersionCid, VersionMemory> = new Map([[CID, firstMemory(0)]]);
  for (const [index, states] of looks.entries()) {
    const replicas = Object.entries(states).map(([node, state]) => {
      return { node: node as NodeId, state, requestsPerS: 10, forMs: 0, confirmed: true };
    });
    const version: VersionView = {
      ...{ cid: CID, memoryBytes: 1, fileBytes: 1, reports: [], replicas, noticeAgeMs: null },
      phantoms: 0,
      deployment: resolveDeployment({}),
    };
    const self = {
      ...{ node: nodeOf('n0' as NodeId, new Map()), refused: new Set<VersionCid>(), loading: 0 },
      ...{ prefetching: 0, pinned: new Set<VersionCid>(), unfetched: new Set<VersionCid>() },
      ...{ settings: resolveScalingInit(), memory },
    };
    const state = assessVersion(version, new Map(), self, 1_000 + 2_000 * index);
    memory = new Map([[CID, state.memory]]);
  }
  return memory.get(CID);
}

describe('assessVersion', () => {
  it('remembers a claim that came in the moment in which another was given up', () => {
    const looks = [
      { n1: 'ready', n2: 'loading' },
      { n1: 'ready', n3: 'loading' },
    ] as const;
    expect(memoryAfter(...looks)?.grewAtMs).toBe(3_000);
    expect(memoryAfter(...looks, { n1: 'ready' })?.grewAtMs).toBe(3_000);
  });

  it('remembers when one left that the others do without, and forgets it when another dies', () => {
    const left = [
      { n1: 'ready', n2: 'ready', n3: 'ready' },
      { n1: 'ready', n2: 'ready', n3: 'cold' },
    ] as const;
    expect(memoryAfter(...left)?.sparedAtMs).toBe(3_000);
    const still = { n1: 'ready', n2: 'ready', n3: 'cold' } as const;
    expect(memoryAfter(...left, still)?.sparedAtMs).toBe(3_000);
    expect(memoryAfter(...left, { n1: 'ready', n3: 'cold' })?.sparedAtMs).toBe(0);
  });
});
