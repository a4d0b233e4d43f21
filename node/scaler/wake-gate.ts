import { BusyError, LoadingError } from '../../protocols/errors.ts';
import type { NodeId, VersionCid } from '../../protocols/types.ts';
import { isWorthWaking, soonestMs } from '../../src/policy/wake-turn.ts';
import type { SwarmView } from '../../src/swarm/view.ts';

/** Milliseconds after which a caller who found this node, and not those that serve, may look again. */
const ELSEWHERE_RETRY_MS = 500;

export interface WakeGateComponents {
  readonly node: NodeId;
  readonly view: Pick<SwarmView, 'holders'>;
  /** Milliseconds that a load takes here; null when unknown. */
  readonly etaMs: number | null;
  /** Milliseconds for which a node's part in a version has been as it is. */
  readonly forMs: (node: NodeId, cid: VersionCid) => number;
}

/**
 * Why a version that lies on this node's disk is not loaded for a request: another node serves it, or loads it already. Undefined
 * when it is this node's turn.
 */
export function elsewhere(
  cid: VersionCid,
  { node, view, etaMs, forMs }: WakeGateComponents,
): Error | undefined {
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
  const underWay = others
    .filter(({ version }) => version.state === 'loading')
    .map((other) => ({
      etaMs: other.version.etaMs ?? null,
      forMs: forMs(other.node.announcement.node, cid),
    }));
  if (isWorthWaking(etaMs, underWay)) return undefined;
  return new LoadingError(`version ${cid} is being loaded by another node`, soonestMs(underWay));
}
