import { LoadingError, NoNodeError, type SwarmError } from '../../protocols/errors.ts';
import { formatModelRef, type ModelRef } from '../../protocols/reference.ts';
import type { VersionCid } from '../../protocols/types.ts';
import type { ReplicaView } from '../swarm/view.ts';

/** Why a call found nobody to ask: the version is being loaded, is held by nodes that rest, or is nowhere. */
export function noNode(
  ref: ModelRef,
  cid: VersionCid,
  holders: readonly ReplicaView[],
): SwarmError {
  const what = `${formatModelRef(ref)} (version ${cid})`;
  const etas = holders.flatMap(({ version }) =>
    version.state === 'loading' && version.etaMs !== undefined ? [version.etaMs] : [],
  );
  const details = { version: cid, loading: holders.length };
  if (etas.length > 0) {
    const etaMs = Math.min(...etas);
    return new LoadingError(
      `no node is READY for ${what}: ${etas.length} load it, the first for another ${etaMs} ms by its own estimate`,
      etaMs,
      { details },
    );
  }
  return new NoNodeError(
    holders.length > 0
      ? `no node is READY for ${what}: ${holders.length} hold it, and load it or are paused`
      : `no node serves ${what}`,
    { details },
  );
}
