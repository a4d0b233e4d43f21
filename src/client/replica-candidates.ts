import { setTimeout as delay } from 'node:timers/promises';
import { NoNodeError } from '../../protocols/errors.ts';
import { type Manifest, manifestBytes } from '../../protocols/manifest/index.ts';
import type { NodeId, VersionCid } from '../../protocols/types.ts';
import { type PlacementCandidate, rankForReplica } from '../policy/replica-placement.ts';
import { describeOtherNetworks } from '../swarm/other-networks.ts';
import type { SwarmPeer } from '../swarm/peer.ts';

/** Resident bytes of a loaded model per byte of its files, measured for models loaded by path. */
const MEMORY_PER_FILE_BYTE = 1.35;

/** How long a first node is waited for: those that start beside the publisher need a moment to be heard of. */
const FIRST_NODE_MS = 10_000;

/** How long further nodes are looked for, from the start: while fewer are known than wanted, or those known refuse. */
const FURTHER_NODES_MS = 3_000;

const DISCOVERY_INTERVAL_MS = 200;

/** The nodes that may be asked to hold a version, best first, each of them once. */
export class ReplicaCandidates {
  readonly #peer: SwarmPeer;
  readonly #cid: VersionCid;
  readonly #needBytes: number;
  readonly #signal: AbortSignal;
  readonly #startedAtMs = Date.now();
  readonly #taken = new Set<NodeId>();
  #ranked: readonly PlacementCandidate[] = [];
  /** Several who want the next one look together. */
  #looking: Promise<void> | undefined;

  constructor(
    peer: SwarmPeer,
    { cid, manifest }: { readonly cid: VersionCid; readonly manifest: Manifest },
    signal: AbortSignal,
  ) {
    this.#peer = peer;
    this.#cid = cid;
    this.#needBytes =
      manifest.deployment.memoryBytes ?? manifestBytes(manifest) * MEMORY_PER_FILE_BYTE;
    this.#signal = signal;
  }

  /**
   * Looks until as many are known as are wanted, or no more seem to come; returns how many there are.
   *
   * @throws {ERR_NO_NODE} when there is none.
   */
  async find(wanted: number): Promise<number> {
    await this.#look();
    while (this.#ranked.length < wanted) {
      const patienceMs = this.#ranked.length === 0 ? FIRST_NODE_MS : FURTHER_NODES_MS;
      if (this.#waitedMs() >= patienceMs) break;
      await this.#pause();
      await this.#look();
    }
    if (this.#ranked.length > 0) return this.#ranked.length;
    throw new NoNodeError(
      'no node is known to the peers of this swarm: start one with `swarm node`',
    );
  }

  /** The best that was not asked yet. Without one it looks again, at least once: while some were busy others may have come. */
  async next(): Promise<NodeId | undefined> {
    let best = this.#best();
    while (best === undefined) {
      const last = this.#waitedMs() >= FURTHER_NODES_MS;
      await this.#look();
      best = this.#best();
      if (last) break;
      if (best === undefined) await this.#pause();
    }
    if (best !== undefined) this.#taken.add(best);
    return best;
  }

  #best(): NodeId | undefined {
    return this.#ranked.find(({ node }) => !this.#taken.has(node))?.node;
  }

  #waitedMs(): number {
    return Date.now() - this.#startedAtMs;
  }

  async #pause(): Promise<void> {
    await delay(DISCOVERY_INTERVAL_MS, undefined, { signal: this.#signal });
  }

  async #look(): Promise<void> {
    this.#looking ??= this.#survey().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
  }

  async #survey(): Promise<void> {
    const { view, network } = this.#peer;
    const answers = await this.#peer.survey({ kind: 'nodes' }, { signal: this.#signal });
    const fault = describeOtherNetworks(answers, network);
    if (fault !== undefined) throw new NoNodeError(fault);
    const now = Date.now();
    const holders = new Set(view.holders(this.#cid, now).map(({ node }) => node.announcement.node));
    const candidates = view
      .nodes(now)
      .filter(({ announcement }) => announcement.state === 'serving')
      .map(({ announcement: { node, owner, zone, memoryFreeBytes } }) => ({
        node,
        owner,
        zone,
        memoryFreeBytes,
        holdsVersion: holders.has(node),
      }));
    this.#ranked = rankForReplica(candidates, this.#cid, this.#needBytes);
  }
}
