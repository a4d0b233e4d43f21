import type { NodeId } from '../../protocols/types.ts';
import { stableHash } from './stable-hash.ts';

/** Co-holders of one version that a node watches; with no more than these, all of them watch each other. */
export const WATCHED_HOLDERS = 4;

/** Nodes watched besides, whatever they hold, so that one that holds a version alone is missed too. */
export const WATCHED_NEIGHBOURS = 3;

/** Nodes watched in all: each costs a connection, and three small messages in two seconds each way. */
export const MAX_WATCHED = 32;

export interface WatchView {
  readonly self: NodeId;
  /** Who else holds each version that this node holds. */
  readonly coHolders: ReadonlyMap<string, readonly NodeId[]>;
  /** Every node known. */
  readonly nodes: readonly NodeId[];
}

/**
 * The nodes that this one asks for a sign of life.
 *
 * The holders of a version stand in a ring, in the order of a hash, and each watches those that follow it: then each is watched by
 * as many as there are places, whoever else is known to each, and no node's part grows with the swarm. All nodes together stand in
 * one more ring.
 */
export function selectWatched({ self, coHolders, nodes }: WatchView): ReadonlySet<NodeId> {
  const watched = new Set<NodeId>();
  const rings = [...coHolders].map(([cid, holders]) =>
    followers(self, holders, cid).slice(0, WATCHED_HOLDERS),
  );
  for (const neighbour of followers(self, nodes, '').slice(0, WATCHED_NEIGHBOURS)) {
    watched.add(neighbour);
  }
  // The next one of each ring in turn: a node that holds very many versions still watches one holder of each while it can.
  for (let place = 0; place < WATCHED_HOLDERS; place += 1) {
    for (const ring of rings) {
      const holder = ring[place];
      if (holder !== undefined && watched.size < MAX_WATCHED) watched.add(holder);
    }
  }
  return watched;
}

/** The others in the order in which they follow this node in the ring of a name. */
function followers(self: NodeId, others: readonly NodeId[], ring: string): readonly NodeId[] {
  const place = (node: NodeId): number => stableHash(`${ring}\0${node}`);
  const own = place(self);
  return others
    .filter((node) => node !== self)
    .map((node) => ({ node, distance: (place(node) - own + 2 ** 32) % 2 ** 32 }))
    .sort((a, b) => a.distance - b.distance || (a.node < b.node ? -1 : 1))
    .map(({ node }) => node);
}
