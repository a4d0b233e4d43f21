import { rankForWake } from '../../policy/scaling/wake-choice.ts';
import type { SimReplica } from './sim-replica.ts';
import type { SimNode, SimVersion, SwarmState } from './swarm-state.ts';
import { EVENT } from './timeline.ts';

/** Share of its uplink that one who fetches can hand on meanwhile: measured in flash crowds of the transfer benchmark. */
const HANDED_ON = 0.8;

/** What becomes of a node's part in a version: fetched, loaded, served, left. */
export class ReplicaLife {
  readonly #state: SwarmState;

  constructor(state: SwarmState) {
    this.#state = state;
  }

  /** Puts a replica where it is ready at once: as at the beginning. */
  place(node: SimNode, version: SimVersion): void {
    const replica = this.#state.partOf(node, version);
    replica.stored = true;
    replica.become('ready', this.#state.nowMs);
    replica.stateBefore = 'ready';
    this.#state.refreshVisible(version);
  }

  /** Puts a copy on a disk: as at the beginning. */
  store(node: SimNode, version: SimVersion): void {
    const replica = this.#state.partOf(node, version);
    replica.stored = true;
    replica.become('cold', this.#state.nowMs);
    replica.stateBefore = 'cold';
  }

  /** Fetches what is missing, or goes on with what is fetched for later, then loads. */
  claim(node: SimNode, version: SimVersion): void {
    const replica = this.#state.partOf(node, version);
    for (const other of node.replicas.values()) if (other !== replica) this.#putOff(other);
    replica.prefetching = false;
    replica.become('loading', this.#state.nowMs);
    this.#begin(replica, this.#fetchMs(replica, node, version) + version.spec.loadMs);
  }

  prefetch(node: SimNode, version: SimVersion): void {
    const replica = this.#state.partOf(node, version);
    replica.prefetching = true;
    this.#begin(replica, this.#fetchMs(replica, node, version));
  }

  /** A claim is given up; what was fetched is of no use. */
  forget(node: SimNode, version: SimVersion): void {
    const replica = this.#state.partOf(node, version);
    replica.loadNumber += 1;
    this.#endFetch(replica, version);
    replica.become(replica.stored ? 'cold' : 'gone', this.#state.nowMs);
  }

  leave(node: SimNode, version: SimVersion): void {
    const replica = this.#state.partOf(node, version);
    replica.become('cold', this.#state.nowMs);
    this.#state.tellClients(version, replica);
  }

  /** A fetch or load is over. */
  loaded(argument: number): void {
    const replica = this.#state.replicas[Math.floor(argument / LOAD_NUMBERS)];
    if (replica === undefined || replica.loadNumber % LOAD_NUMBERS !== argument % LOAD_NUMBERS)
      return;
    const version = this.#state.versions[replica.version];
    if (version === undefined) return;
    this.#endFetch(replica, version);
    if (!this.#state.isAlive(replica.node)) return;
    replica.stored = true;
    if (replica.prefetching) {
      replica.prefetching = false;
      if (replica.state === 'gone') replica.become('cold', this.#state.nowMs);
      return;
    }
    if (replica.state !== 'loading') return;
    replica.become('ready', this.#state.nowMs);
    this.#state.tellClients(version, replica);
  }

  /** Has one of those that keep its files load a version that nobody serves, the same for all who ask. */
  wake(version: SimVersion): void {
    version.missed.meter.missed(this.#state.nowMs);
    const parts = [...version.replicas.values()].filter(({ node }) => this.#state.isAlive(node));
    if (parts.some(({ state }) => state === 'loading' || state === 'ready')) return;
    const candidates = parts.flatMap(({ node: index, state }) => {
      const node = this.#state.nodes[index];
      const hasRoom = (node?.told.memoryFreeBytes ?? 0) >= version.spec.memoryBytes;
      const isAble = state === 'cold' && hasRoom;
      return node === undefined || !isAble ? [] : [{ index, node: node.id, etaMs: null }];
    });
    const [first] = rankForWake(candidates, version.cid);
    const node = first === undefined ? undefined : this.#state.nodes[first.index];
    if (node !== undefined) this.claim(node, version);
  }

  /** What is fetched for later gives way; the part that has come counts for nothing, where a real store keeps it. */
  #putOff(replica: SimReplica): void {
    const version = this.#state.versions[replica.version];
    if (!replica.prefetching || version === undefined) return;
    replica.prefetching = false;
    replica.loadNumber += 1;
    this.#endFetch(replica, version);
  }

  #begin(replica: SimReplica, durationMs: number): void {
    replica.loadNumber += 1;
    const argument = replica.index * LOAD_NUMBERS + (replica.loadNumber % LOAD_NUMBERS);
    this.#state.timeline.after(durationMs, EVENT.loaded, argument);
  }

  /** From all who have it, and from those who fetch it too, as far as they have come. Of a fetch that is under way, the rest. */
  #fetchMs(replica: SimReplica, node: SimNode, version: SimVersion): number {
    if (replica.stored) return 0;
    const { nowMs } = this.#state;
    if (replica.fetchedAtMs !== undefined) return Math.max(0, replica.fetchedAtMs - nowMs);
    version.fetching += 1;
    let uplinks = 0;
    for (const part of version.replicas.values()) {
      if (!part.stored || !this.#state.isAlive(part.node)) continue;
      uplinks += this.#state.nodes[part.node]?.spec.uplinkBytesPerS ?? 0;
    }
    const handedOn = HANDED_ON * (version.fetching - 1) * node.spec.uplinkBytesPerS;
    const bytesPerS = Math.min(
      node.spec.downlinkBytesPerS,
      (uplinks + handedOn) / version.fetching,
    );
    const fetchMs = (1_000 * version.spec.fileBytes) / Math.max(1, bytesPerS);
    replica.fetchedAtMs = nowMs + fetchMs;
    return fetchMs;
  }

  #endFetch(replica: SimReplica, version: SimVersion): void {
    if (replica.fetchedAtMs === undefined) return;
    replica.fetchedAtMs = undefined;
    version.fetching -= 1;
  }
}

/** Loads of one replica that are told apart. */
const LOAD_NUMBERS = 1_024;
