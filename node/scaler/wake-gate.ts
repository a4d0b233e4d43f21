import { BusyError, LoadingError } from '../../protocols/errors.ts';
import type { NodeId, VersionCid } from '../../protocols/types.ts';
import type { ReplicaView, SwarmView } from '../../src/swarm/view.ts';

/** Milliseconds after which a caller who found this node, and not those that serve, may look again. */
const ELSEWHERE_RETRY_MS = 500;

/** Milliseconds for which another node's load is waited for where it does not say how long it takes, and at least. */
const MIN_PATIENCE_MS = 15_000;

/** Times as long as it said that a load of another node may take before it counts as stuck. */
const ETA_PATIENCE = 3;

export interface WakeGateComponents {
  readonly node: NodeId;
  readonly view: Pick<SwarmView, 'holders'>;
  /** Milliseconds for which a node's part in a version has been as it is. */
  readonly forMs: (node: NodeId, cid: VersionCid) => number;
}

/**
 * Why a version that lies on this node's disk is not loaded for a request: another node serves it, or loads it already. Undefined
 * when it is this node's turn: of those that ask at once, one node is woken and not many.
 */
export function elsewhere(cid: VersionCid, components: WakeGateComponents): Error | undefined {
  const { node, view } = components;
  const others = view.holders(cid, Date.now()).filter(({ node: { announcement } }) => {
    return announcement.node !== node && announcement.state === 'serving';
  });
  const ready = others.filter(({ version }) => version.state === 'ready');
  if (ready.length > 0) {
    return new BusyError(
      `version ${cid} is on the disk here, and ready on ${ready.length} other nodes`,
      ELSEWHERE_RETRY_MS,
    );
  }
  const loading = others.filter((other) => isLoading(other, cid, components));
  if (loading.length === 0) return undefined;
  const etas = loading.flatMap(({ version }) => version.etaMs ?? []);
  const etaMs = etas.length === 0 ? null : Math.min(...etas);
  return new LoadingError(`version ${cid} is being loaded by another node`, etaMs);
}

/** A load that takes far longer than it was said to is not waited for. */
function isLoading(
  { node: { announcement }, version: { state, etaMs = 0 } }: ReplicaView,
  cid: VersionCid,
  { forMs }: WakeGateComponents,
): boolean {
  const patienceMs = Math.max(MIN_PATIENCE_MS, ETA_PATIENCE * etaMs);
  return state === 'loading' && forMs(announcement.node, cid) < patienceMs;
}
