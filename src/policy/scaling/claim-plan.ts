import { median } from '../median.ts';
import { preferenceOf, rankNodes, rendezvousDistance, Spread } from './node-rank.ts';
import type { ReplicaAction, ScalingNode, ScalingSelf } from './scaling-view.ts';
import { isRecruited, type NodesById, nodeOf, type VersionState } from './version-state.ts';

/** Looks at the plan after which the next in order step in for those that did not claim. */
const PATIENCE_TICKS = 3;

/** Places that are put in order, in times of those that are lacking: whoever comes after them waits as long as the last. */
const TURNS_RANKED = 8;

/** Share of the eligible nodes that must be known for their order to be taken as it is. */
const KNOWN_SHARE = 0.8;

/** A shortage as one node sees it. */
export interface Shortage {
  /** Replicas to be made now. */
  readonly count: number;
  /** Requests a second to be made room for. */
  readonly perS: number;
  /** Below the publisher's minimum, in panic, or by a loss: nobody waits to see whether it lasts. */
  readonly urgent: boolean;
}

/** When a node is to claim a version, and what it does where that has come. */
export interface PlannedClaim {
  readonly dueMs: number;
  readonly action: ReplicaAction | undefined;
}

export function shortageOf({
  version,
  desired,
  desiredCount,
  ready,
  loading,
  havePerS,
  fell,
  coolingDown,
}: VersionState): Shortage | undefined {
  const have = ready.length + loading.length;
  const count = Math.min(desiredCount, version.deployment.maxReplicas) - have;
  if (count <= 0) return undefined;
  if (coolingDown && have >= desired.floor) return undefined;
  const urgent = fell || desired.panic || have < desired.floor;
  return { count, perS: Math.max(0, desired.wantedPerS - havePerS), urgent };
}

/**
 * Whether and when this node claims a version that lacks replicas. Those in the first places claim within a spread of time, the first
 * first, so that where views differ the later hear of the earlier; who comes after them steps in when they did not.
 */
export function planClaim(
  state: VersionState,
  nodes: NodesById,
  population: number,
  self: ScalingSelf,
  nowMs: number,
): PlannedClaim | undefined {
  const shortage = shortageOf(state);
  const { shortSinceMs } = state.memory;
  if (shortage === undefined || shortSinceMs === null) return undefined;
  if (!state.eligible.some(({ node }) => node === self.node.node)) return undefined;
  const { upDelayMs, claimSpreadMs, tickMs } = self.settings;
  const place = placeOf(state, { nodes, population, self: self.node, count: shortage.count });
  const wanted = wantedOf(state, shortage, place.ahead, self.node);
  const turns = Math.floor(place.position / wanted);
  const waitMs =
    turns === 0
      ? (claimSpreadMs * place.position) / wanted
      : claimSpreadMs + PATIENCE_TICKS * tickMs * turns;
  // Who has a part sees for itself whether it lasts; of the others, who sent a notice has seen it.
  const recruited = state.own === undefined && isRecruited(state.version, self.settings);
  const startsMs = shortSinceMs + (shortage.urgent || recruited ? 0 : upDelayMs);
  const dueMs = startsMs + waitMs;
  if (nowMs < dueMs) return { dueMs, action: undefined };
  const { cid } = state.version;
  const have = state.ready.length + state.loading.length;
  const why = have < state.desired.floor ? 'minimum' : 'demand';
  const reason = `${have} of ${state.desiredCount} replicas by ${why}, place ${Math.floor(place.position) + 1} of ${wanted}`;
  return { dueMs, action: { kind: 'claim', cid, reason } };
}

interface PlaceInput {
  readonly nodes: NodesById;
  readonly population: number;
  readonly self: ScalingNode;
  /** Replicas that are lacking. */
  readonly count: number;
}

interface Place {
  /** Eligible nodes before this one, known or estimated. */
  readonly position: number;
  /** Those of them that are known, in order. */
  readonly ahead: readonly ScalingNode[];
}

/** How many of the places are for nodes of the speeds that are next in order, at least one. */
function wantedOf(
  { capacity, desired, ready, loading }: VersionState,
  { count, perS }: Shortage,
  ahead: readonly ScalingNode[],
  self: ScalingNode,
): number {
  const least = Math.max(1, desired.floor - ready.length - loading.length);
  let filledPerS = 0;
  let places = 0;
  for (const node of [...ahead, self]) {
    if (places >= least && filledPerS >= perS) return places;
    filledPerS += capacity.expectedOf(node);
    places += 1;
  }
  return Math.max(places, count, least);
}

/**
 * Where all eligible nodes are known, the place in their order. Where not, how many of the whole population are expected
 * before this node by its rendezvous distance, less those that hold the version already.
 */
function placeOf(state: VersionState, { nodes, population, self, count }: PlaceInput): Place {
  const { version, eligible, stored, ready, loading } = state;
  const placed = [...ready, ...loading].map(({ node }) => nodeOf(node, nodes));
  const input = {
    ...{ cid: version.cid, stored, placed, count: TURNS_RANKED * count, until: self.node },
  };
  const order = rankNodes(eligible, input);
  const found = order.findIndex(({ node }) => node === self.node);
  const known = found === -1 ? order.length : found;
  const ahead = order.slice(0, known);
  const estimated = eligible.length * Math.max(1, population / Math.max(1, nodes.size));
  if (eligible.length >= KNOWN_SHARE * estimated) return { position: known, ahead };
  const usualCost = median(eligible.flatMap(({ costPerHour }) => costPerHour ?? []));
  const apart = new Spread(placed);
  const preference = (node: ScalingNode): number => {
    return preferenceOf(node, stored.has(node.node), usualCost) / apart.penaltyOf(node);
  };
  const distance = (node: ScalingNode): number => {
    return rendezvousDistance(version.cid, node.node) / preference(node);
  };
  const mean = eligible.reduce((total, node) => total + preference(node), 0) / eligible.length;
  const own = distance(self);
  const all = (estimated + placed.length) * (1 - Math.exp(-own * mean));
  const holding = placed.filter((node) => distance(node) < own).length;
  return { position: Math.max(known, all - holding), ahead };
}
