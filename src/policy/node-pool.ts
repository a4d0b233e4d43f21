import type { NodeId, OwnerId } from '../../protocols/types.ts';
import { stableHash } from './stable-hash.ts';

/**
 * Nodes that a client keeps in touch with for one version, as many as Prequal keeps probes of: more choice gains little, and each
 * costs a connection and probes.
 */
export const POOL_NODES = 16;

/** Places in a pool that the nodes of one owner, or of one zone, take at most while there are others. */
export const POOL_OWNER_NODES = POOL_NODES / 2;
export const POOL_ZONE_NODES = (POOL_NODES * 3) / 4;

export interface PoolCandidate {
  readonly node: NodeId;
  readonly owner: OwnerId;
  readonly zone: string;
  /** What it can do in a time, such as slots ÷ service time: the more, the likelier it is in a pool. */
  readonly weight: number;
}

/**
 * The nodes among which a client chooses when there are very many.
 *
 * By weighted rendezvous: each client has nodes of its own, which stay the same while it and they do, and over many clients
 * each node is in as many pools as its weight says. Weights count in powers of two, so that a measurement that wavers moves
 * nobody. Owners and zones are capped, lest whoever starts many nodes gets all requests of some clients.
 *
 * @see Schindelhauer and Schomaker, "Weighted distributed hash tables", SPAA 2005
 */
export function selectPool<C extends PoolCandidate>(
  candidates: readonly C[],
  client: string,
  size = POOL_NODES,
): readonly C[] {
  if (candidates.length <= size) return candidates;
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: distanceOf(candidate, client) }))
    .sort((a, b) => a.distance - b.distance);
  const owners = new Map<OwnerId, number>();
  const zones = new Map<string, number>();
  const pool: C[] = [];
  const spare: C[] = [];
  for (const { candidate } of ranked) {
    const ofOwner = owners.get(candidate.owner) ?? 0;
    // Where a node is untold is no place: such nodes have nothing in common.
    const ofZone = candidate.zone === '' ? 0 : (zones.get(candidate.zone) ?? 0);
    if (ofOwner >= POOL_OWNER_NODES || ofZone >= POOL_ZONE_NODES) spare.push(candidate);
    else {
      owners.set(candidate.owner, ofOwner + 1);
      zones.set(candidate.zone, ofZone + 1);
      pool.push(candidate);
      if (pool.length === size) return pool;
    }
  }
  return [...pool, ...spare.slice(0, size - pool.length)];
}

/** Exponentially distributed with the weight as its rate: the least of them is each with a chance of its share of the weights. */
function distanceOf({ node, weight }: PoolCandidate, client: string): number {
  const uniform = (stableHash(`${client}\0${node}`) + 0.5) / 2 ** 32;
  return -Math.log(uniform) / 2 ** Math.round(Math.log2(Math.max(weight, Number.MIN_VALUE)));
}
