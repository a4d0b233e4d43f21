import type { NodeId, OwnerId } from '../../protocols/types.ts';
import { stableHash } from './stable-hash.ts';

/** A node that might hold a replica. */
export interface PlacementCandidate {
  readonly node: NodeId;
  readonly owner: OwnerId;
  readonly zone: string;
  readonly memoryFreeBytes: number;
  /** True when the node already holds the version's files or serves it. */
  readonly holdsVersion: boolean;
}

/**
 * The order in which nodes are asked to hold a replica of a version.
 *
 * Holders first, then nodes with room, spread so that each next one adds an owner and a zone not yet chosen where it can,
 * and within that by rendezvous hash, so that versions spread over equals (Thaler and Ravishankar, 1998).
 */
export function rankForReplica(
  candidates: readonly PlacementCandidate[],
  version: string,
  needBytes: number,
): PlacementCandidate[] {
  const rest = [...candidates].sort(
    (a, b) => stableHash(`${version}\0${b.node}`) - stableHash(`${version}\0${a.node}`),
  );
  const ranked: PlacementCandidate[] = [];
  const owners = new Set<string>();
  const zones = new Set<string>();
  while (rest.length > 0) {
    let bestIndex = 0;
    let bestScore = -1;
    rest.forEach((candidate, index) => {
      const score =
        (candidate.memoryFreeBytes >= needBytes ? 8 : 0) +
        (candidate.holdsVersion ? 4 : 0) +
        (owners.has(candidate.owner) ? 0 : 2) +
        (zones.has(candidate.zone) ? 0 : 1);
      if (score > bestScore) {
        bestScore = score;
        bestIndex = index;
      }
    });
    const [chosen] = rest.splice(bestIndex, 1);
    if (chosen === undefined) break;
    ranked.push(chosen);
    owners.add(chosen.owner);
    zones.add(chosen.zone);
  }
  return ranked;
}
