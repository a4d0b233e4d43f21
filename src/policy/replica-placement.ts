import type { NodeId, OwnerId } from '../../protocols/types.ts';

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
    (a, b) => rendezvousHash(version, b.node) - rendezvousHash(version, a.node),
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

/** A 32-bit hash of a pair, well mixed (FNV-1a with a murmur3 finaliser), the same on every peer. */
function rendezvousHash(version: string, node: string): number {
  let hash = 0x811c9dc5;
  for (const text of [version, '\0', node]) {
    for (let index = 0; index < text.length; index += 1) {
      hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
    }
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
