import { sha256 } from '../../protocols/digest.ts';
import type { SwarmLibp2p } from './libp2p.ts';

/** Keys nearest to one's own that are looked at: a Kademlia bucket holds all peers that are so near. */
const NEAREST = 16;

/** What kad-dht 16 has and its types do not show. */
interface DhtInternals {
  readonly routingTable?: {
    closestPeers?(
      kadId: Uint8Array,
      options: { readonly count: number },
    ): { toMultihash(): { readonly bytes: Uint8Array } }[];
  };
}

/**
 * Servers of the DHT that there are, this peer included, by how near the nearest keys are to its own: of `n` keys spread evenly
 * the `k`-th nearest lies at about `k / n` of the way round. Exact while the routing table holds fewer than it would look at.
 *
 * @see Kostoulas et al., "Decentralized schemes for size estimation in large and dynamic groups", NCA 2005, on key density
 */
export function estimatePopulation(libp2p: Pick<SwarmLibp2p, 'peerId' | 'services'>): number {
  const { routingTable } = libp2p.services.dht as DhtInternals;
  const own = sha256(libp2p.peerId.toMultihash().bytes);
  const nearest = routingTable?.closestPeers?.(own, { count: NEAREST }) ?? [];
  const last = nearest.at(-1);
  if (last === undefined || nearest.length < NEAREST) return nearest.length + 1;
  const share = distanceShare(own, sha256(last.toMultihash().bytes));
  return Math.max(nearest.length + 1, Math.round((nearest.length - 1) / share) + 1);
}

/** How far apart two keys are, as a share of the farthest that two can be. */
function distanceShare(a: Uint8Array, b: Uint8Array): number {
  let share = 0;
  for (let index = 0; index < 6; index += 1) {
    share += ((a[index] ?? 0) ^ (b[index] ?? 0)) / 256 ** (index + 1);
  }
  return Math.max(share, 2 ** -48);
}
