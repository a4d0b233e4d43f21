import type { PeerId } from '@libp2p/interface';
import type { QueryEvent } from '@libp2p/kad-dht';
import type { AbortOptions } from '../../protocols/types.ts';
import type { SwarmLibp2p } from './libp2p.ts';

/** What kad-dht 16 has and its types do not show; test/integration/dht-churn.test.ts fails when an update moves it. */
interface DhtInternals {
  readonly routingTable?: { remove?(peer: PeerId, options?: AbortOptions): Promise<void> };
}

/**
 * Peers of a DHT query that could not be reached.
 *
 * kad-dht 16 keeps a peer that has left in its routing table until the bucket is full. A query begins with the 8 it knows that
 * are closest to the key; where these have all left, it ends with nobody, although others are there.
 */
export class DhtDepartures {
  readonly #libp2p: SwarmLibp2p;
  readonly #peers = new Map<string, PeerId>();

  constructor(libp2p: SwarmLibp2p) {
    this.#libp2p = libp2p;
  }

  /** Takes note of an event of the query. */
  note(event: QueryEvent): void {
    if (event.name === 'QUERY_ERROR') this.#peers.set(event.from.toString(), event.from);
  }

  /** Takes those out of the routing table that are not connected either; returns how many. Each comes back when it connects. */
  async forget(options: AbortOptions): Promise<number> {
    // A query that was given up says nothing of the peers it was waiting for.
    if (options.signal?.aborted === true) return 0;
    // Whoever is connected to nobody has left himself.
    if (this.#libp2p.getConnections().length === 0) return 0;
    const { routingTable } = this.#libp2p.services.dht as DhtInternals;
    let forgotten = 0;
    for (const peer of this.#peers.values()) {
      if (routingTable?.remove === undefined || this.#libp2p.getConnections(peer).length > 0)
        continue;
      await routingTable.remove(peer, options);
      forgotten += 1;
    }
    return forgotten;
  }
}
