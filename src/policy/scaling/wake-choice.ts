import type { NodeId, VersionCid } from '../../../protocols/types.ts';
import { rendezvousDistance } from './node-rank.ts';

/** A node that might load a version which nobody serves. */
export interface WakeCandidate {
  readonly node: NodeId;
  /** Milliseconds until it would serve, by its own word; null when it says nothing. */
  readonly etaMs: number | null;
}

/** Times as late as another that one must be expected to be to count as later: closer is noise, and all callers must choose alike. */
const ETA_STEP = 2;

/**
 * The order in which nodes are asked to load a version that nobody serves: who is sooner, in steps, then by rendezvous. All that
 * ask at once choose alike, so that one wakes and not many.
 */
export function rankForWake<C extends WakeCandidate>(
  candidates: readonly C[],
  cid: VersionCid,
): C[] {
  return candidates
    .map((candidate) => ({
      candidate,
      step: etaStep(candidate.etaMs),
      distance: rendezvousDistance(cid, candidate.node),
    }))
    .toSorted((a, b) => a.step - b.step || a.distance - b.distance)
    .map(({ candidate }) => candidate);
}

function etaStep(etaMs: number | null): number {
  if (etaMs === null) return Number.MAX_SAFE_INTEGER;
  return Math.floor(Math.log(Math.max(1, etaMs)) / Math.log(ETA_STEP));
}
