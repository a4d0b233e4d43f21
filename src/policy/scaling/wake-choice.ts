import type { NodeId, VersionCid } from '../../../protocols/types.ts';
import type { ReplicaState } from '../../../protocols/capacity/index.ts';
import { rendezvousDistance } from './node-rank.ts';

/** A node that might load a version which nobody serves. */
export interface WakeCandidate {
  readonly node: NodeId;
  /** Its part in the version; undefined when it has none. */
  readonly state: ReplicaState | undefined;
  /** Milliseconds until it would serve, by its own word; null when it says nothing. */
  readonly etaMs: number | null;
  /** True when it has the memory for it, as far as is known. */
  readonly room: boolean;
}

/** Times as late as another that one must be expected to be to count as later: closer is noise, and all callers must choose alike. */
const ETA_STEP = 2;

/**
 * The order in which nodes are asked to load a version that nobody serves: who loads it already, then who has the weights, then
 * who has room to fetch them; among those who is sooner, in steps, then by rendezvous. All that ask at once choose alike, so
 * that one wakes and not many.
 */
export function rankForWake<C extends WakeCandidate>(
  candidates: readonly C[],
  cid: VersionCid,
): C[] {
  return candidates
    .filter(({ state }) => state !== 'quarantined')
    .map((candidate) => ({
      candidate,
      tier: tierOf(candidate),
      step: etaStep(candidate.etaMs),
      distance: rendezvousDistance(cid, candidate.node),
    }))
    .toSorted((a, b) => a.tier - b.tier || a.step - b.step || a.distance - b.distance)
    .map(({ candidate }) => candidate);
}

function tierOf({ state, room }: WakeCandidate): number {
  if (state === 'ready') return 0;
  if (state === 'loading') return 1;
  if (state === 'cold') return room ? 2 : 3;
  return room ? 4 : 5;
}

function etaStep(etaMs: number | null): number {
  if (etaMs === null) return Number.MAX_SAFE_INTEGER;
  return Math.floor(Math.log(Math.max(1, etaMs)) / Math.log(ETA_STEP));
}
