import { rankNodes } from './node-rank.ts';
import type { ReplicaAction, ScalingSelf } from './scaling-view.ts';
import { type NodesById, nodeOf, type VersionState } from './version-state.ts';

/** Share of the replicas' capacity from which on the next one is near enough to fetch for. */
const NEAR = 0.8;

/**
 * Disk copies that a version is to have beside its replicas: the square root of what demand asks for.
 *
 * @see Cohen and Shenker, "Replication strategies in unstructured peer-to-peer networks", SIGCOMM 2002, §4
 */
function spareCopies(desiredCount: number): number {
  return Math.ceil(Math.sqrt(desiredCount));
}

/**
 * Disk copies that are lacking of a version whose demand comes near what its replicas can do. None of one that is short already:
 * that one is claimed, not fetched for later.
 */
function lackingCopies(state: VersionState): number {
  const { version, desired, havePerS, ready, loading, stored } = state;
  if (stored.size === 0 || state.memory.shortSinceMs !== null) return 0;
  if (desired.wantedPerS === 0 || desired.wantedPerS < NEAR * havePerS) return 0;
  if (ready.length + loading.length >= version.deployment.maxReplicas) return 0;
  const spare = version.replicas.filter(({ state: is }) => is === 'cold').length;
  return Math.max(0, spareCopies(state.desiredCount) - spare);
}

/**
 * Whether this node fetches the weights of a version whose demand comes near what its replicas can do, so that a later load is
 * local: it is among the next in order, and has the disk for it.
 */
export function planPrefetch(
  state: VersionState,
  nodes: NodesById,
  self: ScalingSelf,
): ReplicaAction | undefined {
  const { version, own, desired, havePerS, stored } = state;
  const { diskFreeBytes } = self.node;
  if (own !== undefined || self.refused.has(version.cid)) return undefined;
  if (self.unfetched.has(version.cid)) return undefined;
  const { prefetchShare } = self.settings;
  if (diskFreeBytes === null || version.fileBytes > prefetchShare * diskFreeBytes) return undefined;
  const lacking = lackingCopies(state);
  if (lacking <= 0) return undefined;
  const copies = spareCopies(state.desiredCount);
  const placed = version.replicas.map(({ node }) => nodeOf(node, nodes));
  const next = rankNodes(
    state.eligible.filter(({ node }) => !stored.has(node)),
    { cid: version.cid, stored, placed, count: lacking },
  );
  if (!next.some(({ node }) => node === self.node.node)) return undefined;
  const reason = `${copies - lacking} of ${copies} spare copies, demand is at ${Math.round((100 * desired.wantedPerS) / havePerS)} % of what replicas are for`;
  return { kind: 'prefetch', cid: version.cid, reason };
}
