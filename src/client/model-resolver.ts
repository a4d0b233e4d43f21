import { capacityBucket } from '../../protocols/capacity/index.ts';
import { NotFoundError } from '../../protocols/errors.ts';
import type { ModelRef } from '../../protocols/reference.ts';
import type { RoutingQuery } from '../../protocols/routing/index.ts';
import type { PublisherId, VersionCid } from '../../protocols/types.ts';
import type { SwarmPeer } from '../swarm/peer.ts';

/** How long a channel's version is used before it is asked for again in the background. */
export const RESOLVE_FRESH_MS = 2_500;

/** How long it may be used at all: the publisher's moves reach a client in use within this. */
export const RESOLVE_STALE_MS = 5_000;

/** Peers asked at once for a snapshot: one may be slow, stale or lying. */
const SNAPSHOT_PEERS = 3;

const SNAPSHOT_TIMEOUT_MS = 3_000;

/** References remembered; the one resolved longest ago goes first. */
const MAX_REMEMBERED = 1024;

/** A reference made definite. */
export interface ResolvedModel {
  readonly publisher: PublisherId;
  readonly name: string;
  readonly cid: VersionCid;
  /** Sequence of the release record that said so; 0 when the reference named the version itself. */
  readonly sequence: number;
}

interface Remembered {
  readonly model: ResolvedModel;
  readonly atMs: number;
  refreshing: boolean;
}

/** Turns references into versions and keeps the view fed with who serves them. */
export class ModelResolver {
  readonly #peer: SwarmPeer;
  readonly #joinGossip: boolean;
  readonly #remembered = new Map<string, Remembered>();

  constructor(peer: SwarmPeer, init: { readonly joinGossip: boolean }) {
    this.#peer = peer;
    this.#joinGossip = init.joinGossip;
  }

  /**
   * The version a reference means, from memory while that is fresh.
   *
   * @throws {ERR_NOT_FOUND} when the model or the channel is unknown.
   */
  async resolve(ref: ModelRef, signal: AbortSignal): Promise<ResolvedModel> {
    const key = `${ref.publisher}/${ref.name}@${selectorText(ref)}`;
    const known = this.#remembered.get(key);
    const ageMs = known === undefined ? Number.POSITIVE_INFINITY : Date.now() - known.atMs;
    if (known !== undefined && ageMs < RESOLVE_STALE_MS) {
      if (ageMs > RESOLVE_FRESH_MS && !known.refreshing) {
        known.refreshing = true;
        this.#resolveNow(ref, key, AbortSignal.timeout(SNAPSHOT_TIMEOUT_MS)).catch(() => {
          // What is remembered serves until it is stale; the next call then meets the failure itself.
          known.refreshing = false;
        });
      }
      return known.model;
    }
    return this.#resolveNow(ref, key, signal);
  }

  /** Asks again who serves a version, for a call that ran out of nodes. */
  async refresh(ref: ModelRef, signal: AbortSignal): Promise<void> {
    await this.#ask(modelQuery(ref), signal);
  }

  /** Fills the view with every node the peers around know. */
  async refreshNodes(signal: AbortSignal): Promise<void> {
    await this.#ask({ kind: 'nodes' }, signal);
  }

  async #resolveNow(ref: ModelRef, key: string, signal: AbortSignal): Promise<ResolvedModel> {
    const { publisher, name, selector } = ref;
    await this.#ask(modelQuery(ref), signal);
    const model: ResolvedModel =
      selector.kind === 'version'
        ? { publisher, name, cid: selector.cid, sequence: 0 }
        : await this.#channelVersion(ref, selector.channel, signal);
    this.#remembered.delete(key);
    this.#remembered.set(key, { model, atMs: Date.now(), refreshing: false });
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size > MAX_REMEMBERED && oldest !== undefined)
      this.#remembered.delete(oldest);
    if (this.#joinGossip) this.#peer.gossip.join(capacityBucket(model.cid));
    return model;
  }

  async #channelVersion(
    ref: ModelRef,
    channel: string,
    signal: AbortSignal,
  ): Promise<ResolvedModel> {
    const { publisher, name } = ref;
    // A snapshot usually brought the record; the DHT is asked when it did not.
    const { record } = await this.#peer.releases.find(publisher, name, { signal });
    const target = record.channels[channel];
    if (target === undefined) {
      const channels = Object.keys(record.channels).join(', ') || 'none';
      throw new NotFoundError(
        `model ${publisher}/${name} has no channel '${channel}', it has: ${channels}`,
      );
    }
    return { publisher, name, cid: target.cid, sequence: record.sequence };
  }

  /** Asks a few peers at once and goes on with the first answer; the others still feed the view when they come. */
  async #ask(query: RoutingQuery, signal: AbortSignal): Promise<void> {
    await this.#peer.connected(signal);
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(SNAPSHOT_TIMEOUT_MS)]);
    const asked = this.#peer.libp2p.getPeers().slice(0, SNAPSHOT_PEERS);
    const answers = asked.map((peer) => this.#peer.snapshot(peer.toString(), query, bounded));
    const useful = answers.map(async (answer) => {
      const { release, announcements } = await answer;
      if (release === null && announcements.length === 0) throw new NotFoundError('empty snapshot');
    });
    await Promise.any(useful).catch(() => {
      // Nobody knew anything: the DHT, or the caller's own error, says the rest.
    });
  }
}

function modelQuery(ref: ModelRef): RoutingQuery {
  return { kind: 'model', publisher: ref.publisher, name: ref.name, selector: selectorText(ref) };
}

function selectorText({ selector }: ModelRef): string {
  return selector.kind === 'channel' ? selector.channel : selector.cid;
}
