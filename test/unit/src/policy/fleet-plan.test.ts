import { describe, expect, it } from 'vitest';
import type { NodeId } from '../../../../protocols/types.ts';
import { type FleetVersion, planFleet } from '../../../../src/policy/fleet-plan.ts';

const host = (name: string, serving: number) => ({ node: name as NodeId, serving });
const version = (
  of: Partial<FleetVersion> & { readonly on?: readonly string[] },
): FleetVersion => ({
  ...{ desired: 1, have: 1, unplaceable: null },
  ...of,
  holders: (of.on ?? []) as NodeId[],
});
const lacking = (count: number) =>
  version({ unplaceable: { count, hindrance: 'memory', reason: 'no room' } });

describe('planFleet', () => {
  it('asks for a host for each replica of a version that has no place', () => {
    const plan = planFleet({ nodes: [host('a', 2), host('b', 2)], versions: [lacking(3)] });
    expect(plan).toEqual({ hosts: 5, spare: [] });
  });

  it('has replicas of different versions share hosts as they do now', () => {
    const nodes = [host('a', 2), host('b', 2)];
    const versions = [lacking(1), lacking(1), lacking(1), lacking(1)];
    expect(planFleet({ nodes, versions }).hosts).toBe(4);
  });

  it('asks for a first host of a swarm that has none', () => {
    expect(planFleet({ nodes: [], versions: [lacking(1)] }).hosts).toBe(1);
  });

  it('does without hosts that serve nothing', () => {
    const nodes = [host('a', 1), host('idle-1', 0), host('idle-2', 0)];
    const versions = [version({ on: ['a', 'idle-1'] })];
    expect(planFleet({ nodes, versions })).toEqual({ hosts: 1, spare: ['idle-1', 'idle-2'] });
  });

  it('keeps a host for each replica that is on its way', () => {
    const nodes = [host('a', 1), host('idle-1', 0), host('idle-2', 0)];
    const versions = [version({ desired: 2, have: 1, on: ['a'] })];
    expect(planFleet({ nodes, versions })).toEqual({ hosts: 2, spare: ['idle-2'] });
  });

  it('never lets the last copy of a version go, nor all copies at once', () => {
    const nodes = [host('idle-1', 0), host('idle-2', 0)];
    const asleep = { desired: 0, have: 0 };
    const alone = [version({ ...asleep, on: ['idle-1'] })];
    expect(planFleet({ nodes, versions: alone }).spare).toEqual(['idle-2']);
    const both = [version({ ...asleep, on: ['idle-1', 'idle-2'] })];
    expect(planFleet({ nodes, versions: both }).spare).toEqual(['idle-1']);
  });
});
