import { shortageOf } from './claim-plan.ts';
import type { ReplicaAction, ScalingSelf } from './scaling-view.ts';
import { orderOf } from './surplus-plan.ts';
import { hindranceOf } from './node-fitness.ts';
import { type NodesById, nodeOf, type VersionState } from './version-state.ts';

/**
 * Whether this node gives one version's place to another that nobody has room for. It moves when by what all nodes know it is
 * the one to, and the worse served of the two is then better served by more than `moveGain`: what all others would do is
 * simulated by that they would do the same.
 *
 * @see Borzunov et al., "Distributed Inference and Fine-tuning of Large Language Models Over The Internet", NeurIPS 2023, §3.2
 */
export function planMove(
  states: readonly VersionState[],
  nodes: NodesById,
  self: ScalingSelf,
): ReplicaAction | undefined {
  const givers = states.filter((state) => isGiver(state, self));
  let best: { action: ReplicaAction; gain: number } | undefined;
  for (const taker of states) {
    if (!isTaker(taker, self)) continue;
    for (const giver of givers) {
      if (giver === taker || !isMover(giver, taker, nodes, self)) continue;
      const gain = gainOf(giver, taker, nodes, self);
      if (gain <= self.settings.moveGain || gain <= (best?.gain ?? 0)) continue;
      const reason = `the worse served of the two is served ${gain.toPrecision(3)} times as well`;
      const { cid } = taker.version;
      best = { gain, action: { kind: 'move', cid, from: giver.version.cid, reason } };
    }
  }
  return best?.action;
}

/** A version that this node could part with. */
function isGiver({ own, version, ready, desired }: VersionState, { pinned }: ScalingSelf): boolean {
  return (
    own?.state === 'ready' &&
    !pinned.has(version.cid) &&
    !desired.panic &&
    ready.length > Math.max(1, desired.floor)
  );
}

/** A version that lacks replicas which no known node has room for, and that this node may hold. */
function isTaker(state: VersionState, { refused }: ScalingSelf): boolean {
  const { version, own, memory } = state;
  return (
    memory.shortSinceMs !== null &&
    shortageOf(state) !== undefined &&
    state.eligible.length === 0 &&
    own?.state !== 'ready' &&
    own?.state !== 'loading' &&
    own?.state !== 'quarantined' &&
    !refused.has(version.cid)
  );
}

/** The last in the giver's order of those that could hold the taker in its place: one node, the same to all that know the same. */
function isMover(
  giver: VersionState,
  taker: VersionState,
  nodes: NodesById,
  self: ScalingSelf,
): boolean {
  const able = orderOf(giver, giver.ready, nodes).filter(({ node }) => {
    const known = nodeOf(node.node, nodes);
    const { memoryFreeBytes } = known;
    const memoryBytes =
      memoryFreeBytes === null ? null : memoryFreeBytes + giver.version.memoryBytes;
    const freed = { ...known, memoryFreeBytes: memoryBytes };
    return hindranceOf(freed, taker.version, taker.stored.has(node.node)) === undefined;
  });
  return able.at(-1)?.node.node === self.node.node;
}

function gainOf(
  giver: VersionState,
  taker: VersionState,
  nodes: NodesById,
  { node }: ScalingSelf,
): number {
  const lostPerS = giver.capacity.of(giver.own ?? { node: node.node, requestsPerS: null });
  const wonPerS = taker.capacity.expectedOf(nodes.get(node.node));
  const before = Math.min(served(giver, giver.havePerS), served(taker, taker.havePerS));
  const after = Math.min(
    served(giver, giver.havePerS - lostPerS),
    served(taker, taker.havePerS + wonPerS),
  );
  if (before === 0) return after > 0 ? Number.POSITIVE_INFINITY : 0;
  return after / before;
}

/** What is there over what is wanted; of a version that nobody asks for, its minimum counts as wanted. */
function served({ desired, capacity }: VersionState, havePerS: number): number {
  const wantedPerS = Math.max(desired.wantedPerS, desired.floor * capacity.usualPerS);
  return wantedPerS === 0 ? Number.POSITIVE_INFINITY : havePerS / wantedPerS;
}
