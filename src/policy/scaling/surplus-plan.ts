import { rankNodes } from './node-rank.ts';
import { measureCapacity } from './replica-capacity.ts';
import type { ScalingSettings } from './scaling-settings.ts';
import type { ReplicaAction, ReplicaView, ScalingNode, ScalingSelf } from './scaling-view.ts';
import { type NodesById, nodeOf, type VersionState } from './version-state.ts';

/** Share by which what stays must be more than what was wanted, at least: a replica whose place is doubtful stays. */
const MIN_STAY_MARGIN = 0.05;

/** Standard deviations of what a stable window counts that the margin covers: who leaves for noise comes back for noise. */
const STAY_DEVIATIONS = 5;

/**
 * Whether this node gives up what the others do without. The last in order goes first, then two, then four, each a look later,
 * so that those whose views differ hear of each other; never below the publisher's minimum.
 */
export function planSurplus(
  state: VersionState,
  nodes: NodesById,
  self: ScalingSelf,
  nowMs: number,
): ReplicaAction | undefined {
  const { own, desired, loading } = state;
  if (own === undefined || self.pinned.has(state.version.cid)) return undefined;
  if (self.refused.has(state.version.cid) && own.state === 'ready') return orderedOut(state);
  if (own.state === 'loading') return planForgetting(state, nodes, self);
  if (own.state !== 'ready') return undefined;
  const leaving = { kind: 'leave', cid: state.version.cid } as const;
  // To zero by a delay of its own, whatever was wanted within the other.
  if (desired.floor === 0 && desired.keptPerS === 0) {
    const idleMs = nowMs - state.memory.askedAtMs;
    return { ...leaving, reason: `nobody asked for it in ${Math.round(idleMs / 1_000)} s` };
  }
  const { memory, ready } = state;
  const { downDelayMs, tickMs } = self.settings;
  if (desired.panic || loading.length > 0 || memory.surplusSinceMs === null) return undefined;
  const sinceMs = Math.max(memory.sinceMs, memory.grewAtMs);
  if (nowMs - sinceMs < downDelayMs) return undefined;
  const order = orderOf(state, ready, nodes);
  const position = order.findIndex(({ node }) => node.node === self.node.node);
  const behind = order.length - 1 - position;
  // What would be left if this one and all behind it went.
  const left = order.slice(0, position);
  const leftPerS = left.reduce((total, { perS }) => total + perS, 0);
  const stayPerS = stayingPerS(desired.keptPerS, self.settings);
  if (left.length < desired.floor) return undefined;
  if (leftPerS < stayPerS || perSAlone(state, left, self.settings) < stayPerS) return undefined;
  if (nowMs - memory.surplusSinceMs < tickMs * Math.floor(Math.log2(behind + 1))) return undefined;
  return { ...leaving, reason: `${left.length} of ${order.length} replicas are enough` };
}

/**
 * What those that are left will count as once the others are gone. Each is counted beside the middle one, and that is another then:
 * when a fast one leaves, another fast one may count for less, and whoever left for what it counted as before is called back for ever.
 */
function perSAlone(
  { version }: VersionState,
  left: readonly Ordered[],
  { stableWindowMs }: ScalingSettings,
): number {
  const stay = new Set(left.map(({ node }) => node.node));
  const replicas = version.replicas.filter(({ node }) => stay.has(node));
  const capacity = measureCapacity({ ...version, replicas }, stableWindowMs);
  return replicas.reduce((total, replica) => total + capacity.of(replica), 0);
}

/** What must stay for what was wanted: of n requests that come by chance a window counts √n more or less. */
function stayingPerS(
  keptPerS: number,
  { stableWindowMs, targetUtilisation }: ScalingSettings,
): number {
  const counted = (keptPerS * targetUtilisation * stableWindowMs) / 1_000;
  const noise = counted === 0 ? 0 : STAY_DEVIATIONS / Math.sqrt(counted);
  return (1 + Math.max(MIN_STAY_MARGIN, noise)) * keptPerS;
}

/** The operator's word or the node's policy: it goes at once. */
function orderedOut({ version }: VersionState): ReplicaAction {
  return { kind: 'leave', cid: version.cid, reason: 'this node does not take it any more' };
}

/** A claim of which others were first: of those that load, the last in order gives way. */
function planForgetting(
  state: VersionState,
  nodes: NodesById,
  self: ScalingSelf,
): ReplicaAction | undefined {
  const { ready, loading, desired, readyPerS, version } = state;
  const order = orderOf(state, loading, nodes);
  const before = order.slice(
    0,
    order.findIndex(({ node }) => node.node === self.node.node),
  );
  const count = ready.length + before.length;
  const perS = before.reduce((total, one) => total + one.perS, readyPerS);
  const { maxReplicas } = version.deployment;
  const enough =
    perS >= stayingPerS(desired.keptPerS, self.settings) && count >= Math.max(1, desired.floor);
  if (!enough && count < maxReplicas) return undefined;
  return {
    kind: 'forget',
    cid: version.cid,
    reason: `${count} others claimed it first`,
  };
}

interface Ordered {
  readonly node: ScalingNode;
  readonly perS: number;
}

/** Replicas in the order in which they stay. */
export function orderOf(
  { version, stored, capacity }: VersionState,
  replicas: readonly ReplicaView[],
  nodes: NodesById,
): readonly Ordered[] {
  const perS = new Map(
    replicas.map((one) => [
      one.node,
      one.state === 'ready' ? capacity.of(one) : capacity.expectedOf(nodes.get(one.node)),
    ]),
  );
  const holders = replicas.map(({ node }) => {
    const known = nodeOf(node, nodes);
    // In use counts what it runs beside this one: who runs nothing else goes first, and its host is free.
    return { ...known, serving: Math.max(0, known.serving - 1) };
  });
  const ranked = rankNodes(holders, {
    ...{ cid: version.cid, stored, placed: [] },
    count: holders.length,
  });
  return ranked.map((node) => ({ node, perS: perS.get(node.node) ?? capacity.usualPerS }));
}
