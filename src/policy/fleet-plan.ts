import type { NodeId } from '../../protocols/types.ts';
import type { ScalingNode, VersionPlan } from './scaling/scaling-view.ts';

/** Replicas that a host is taken to hold where none holds any yet. */
const ASSUMED_REPLICAS_PER_HOST = 1;

/** A version as it stands, with everybody who has a copy of it, in memory or on the disk. */
export interface FleetVersion extends Pick<VersionPlan, 'desired' | 'have' | 'unplaceable'> {
  readonly holders: readonly NodeId[];
}

export interface FleetView {
  readonly nodes: readonly Pick<ScalingNode, 'node' | 'serving'>[];
  readonly versions: readonly FleetVersion[];
}

/** How many machines a swarm needs. */
export interface FleetPlan {
  /** All in all: an absolute number, so that ten who ask for it do not get ten times as many. */
  readonly hosts: number;
  /** Nodes that nobody would miss: they serve nothing, nothing is about to be loaded there, and no last copy is theirs. */
  readonly spare: readonly NodeId[];
}

/**
 * As many machines as there are, and one for each replica without a place that no other host can take; or as many less as serve
 * nothing. Replicas of one version need a host each; those of different ones share hosts as they do now.
 */
export function planFleet({ nodes, versions }: FleetView): FleetPlan {
  const lacking = versions.map(({ unplaceable }) => unplaceable?.count ?? 0);
  const total = lacking.reduce((sum, count) => sum + count, 0);
  if (total > 0) {
    const extra = Math.max(...lacking, Math.ceil(total / replicasPerHost(nodes)));
    return { hosts: nodes.length + extra, spare: [] };
  }
  const spare = selectSpare(nodes, versions);
  return { hosts: nodes.length - spare.length, spare };
}

function replicasPerHost(nodes: FleetView['nodes']): number {
  const used = nodes.filter(({ serving }) => serving > 0);
  if (used.length === 0) return ASSUMED_REPLICAS_PER_HOST;
  return used.reduce((sum, { serving }) => sum + serving, 0) / used.length;
}

function selectSpare(
  nodes: FleetView['nodes'],
  versions: readonly FleetVersion[],
): readonly NodeId[] {
  const copies = versions.map(({ holders }) => new Set(holders));
  const idle = nodes.filter(({ serving }) => serving === 0).map(({ node }) => node);
  // A replica that is wanted and not there yet comes to one of them.
  const coming = versions.reduce((sum, { desired, have }) => sum + Math.max(0, desired - have), 0);
  const spare: NodeId[] = [];
  for (const node of idle.slice(coming)) {
    const held = copies.filter((holders) => holders.has(node));
    if (held.some(({ size }) => size === 1)) continue;
    for (const holders of held) holders.delete(node);
    spare.push(node);
  }
  return spare;
}
