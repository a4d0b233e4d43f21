import { setTimeout as delay } from 'node:timers/promises';
import { BoundedMap } from '../../protocols/bounded-map.ts';
import { capacityBucket } from '../../protocols/capacity/index.ts';
import { NotFoundError } from '../../protocols/errors.ts';
import type { ModelRef, ModelSelector } from '../../protocols/reference.ts';
import type { ReleaseRecord } from '../../protocols/release/index.ts';
import type { RoutingQuery } from '../../protocols/routing/index.ts';
import type { NodeId, PublisherId, VersionCid } from '../../protocols/types.ts';
import { selectTarget } from '../policy/canary.ts';
import type { SwarmPeer } from '../swarm/peer.ts';
import { ANSWERED_RELEASE_AGE_MS } from '../swarm/routing-service.ts';
import { SharedWork } from '../swarm/shared-work.ts';
import { findHolders } from '../swarm/version-holders.ts';

/** How long ago the peers around may have been asked before they are asked again, in the background. */
const ASK_INTERVAL_MS = 1_500;

/**
 * How old what is known may be: a request for which it is older waits for the peers around. The age of a release is counted from
 * before the look-up in the DHT that it came of, whoever made it, so a publisher's move reaches a client in use within 5 s of its
 * put even where no push does. What is asked for every 1.5 s and at most 2 s old then seldom gets there.
 */
const MAX_KNOWN_AGE_MS = 4_000;

/** Peers asked at once for a snapshot: one may be slow, stale or lying. */
const SNAPSHOT_PEERS = 3;

/** How long a peer has to answer that told of a newer release. */
const HINT_TIMEOUT_MS = 3_000;

/** How long the peers around and then the DHT may take between them. */
const ASK_TIMEOUT_MS = 20_000;

/** How long the DHT may take where a release is known already: what is known serves on when neither peers nor DHT answer. */
const RECHECK_TIMEOUT_MS = 3_000;

/**
 * How long a call waits for what is known to be checked, once that is too old. Whoever lives has answered by then; where the peers
 * around and the DHT's servers are frozen or gone, what is known serves on, and no call waits until one of them answers again.
 */
const CHECK_WAIT_MS = 1_000;

/** How long those are looked for, and asked, that the DHT says may serve a version. */
const PROVIDERS_TIMEOUT_MS = 3_000;

const PROVIDERS_INTERVAL_MS = 100;

/** Milliseconds between look-ups that an answer's sequence sets off: a node may claim any. */
const HINT_INTERVAL_MS = 500;

/** References remembered; the one asked for longest ago goes first. */
const MAX_REMEMBERED = 1024;

/** A reference made definite. */
export interface ResolvedModel {
  readonly publisher: PublisherId;
  readonly name: string;
  readonly cid: VersionCid;
  /** Sequence of the release record that said so; 0 when the reference named the version itself. */
  readonly sequence: number;
  /** The channel whose version it is; null when the reference named the version itself. */
  readonly channel: string | null;
  /** True when the channel's guard has tripped, so that this is the version before the channel's own. */
  readonly fellBack: boolean;
}

type ModelQuery = RoutingQuery & { readonly kind: 'model' };

type ChannelSelector = ModelSelector & { readonly kind: 'channel' };

/** When the peers around were last asked about a reference, and about the hint of an answer. */
interface Asked {
  atMs: number;
  hintedAtMs: number;
  /** True while the last check of the release came to nothing in time: no call waits for the next one. */
  unanswered: boolean;
}

/** Turns references into versions and keeps the view fed with who serves them. */
export class ModelResolver {
  readonly #peer: SwarmPeer;
  readonly #joinGossip: boolean;
  readonly #asked = new BoundedMap<string, Asked>(MAX_REMEMBERED);
  readonly #asking = new SharedWork<void>(ASK_TIMEOUT_MS);

  constructor(peer: SwarmPeer, init: { readonly joinGossip: boolean }) {
    this.#peer = peer;
    this.#joinGossip = init.joinGossip;
  }

  /**
   * The version a reference means now, from memory while that is fresh. `share` says where the request stands when a canary
   * takes some of them, see {@link requestShare}; without it the canary gets none.
   *
   * @throws {ERR_NOT_FOUND} when the model or the channel is unknown.
   */
  async resolve(ref: ModelRef, signal: AbortSignal, share = 1): Promise<ResolvedModel> {
    return this.known(ref, share) ?? this.#resolve(ref, signal, share);
  }

  /** What {@link resolve} says without asking anybody; undefined where it has to ask, or knows no such channel. */
  known(ref: ModelRef, share = 1): ResolvedModel | undefined {
    const askedAtMs = this.#asked.get(keyOf(ref))?.atMs ?? Number.NEGATIVE_INFINITY;
    if (Date.now() - askedAtMs > ASK_INTERVAL_MS) return undefined;
    const { publisher, name, selector } = ref;
    if (selector.kind === 'version') return this.#versionOf(ref, selector.cid);
    const record = this.#peer.releases.cached(publisher, name)?.record;
    return record && this.#targetOf(record, selector, share);
  }

  /** Asks again who serves a version, for a call that ran out of nodes; those whom the DHT names when nobody around knows one. */
  async refresh(ref: ModelRef, cid: VersionCid, signal: AbortSignal): Promise<void> {
    const query = { ...modelQuery(ref), selector: cid };
    const ask = async (until: AbortSignal): Promise<void> => {
      await this.#ask(query, until, Number.POSITIVE_INFINITY);
      if (this.#peer.view.holders(cid, Date.now()).length > 0) return;
      await this.#askProviders(query, cid, until);
    };
    await this.#asking.run(`refresh ${cid}`, ask, signal);
  }

  /** A node's answer tells of a newer release than was known: whoever told it is asked for it, in the background. */
  hint(ref: ModelRef, node: NodeId): void {
    const asked = this.#asked.get(keyOf(ref));
    const now = Date.now();
    if (asked === undefined || now - asked.hintedAtMs < HINT_INTERVAL_MS) return;
    asked.hintedAtMs = now;
    this.#peer.snapshot(node, modelQuery(ref), AbortSignal.timeout(HINT_TIMEOUT_MS)).catch(() => {
      // It may have lied or gone: the peers around are asked within seconds in any case.
    });
  }

  async #resolve(ref: ModelRef, signal: AbortSignal, share: number): Promise<ResolvedModel> {
    await this.#askWhenDue(ref, signal);
    const { publisher, name, selector } = ref;
    if (selector.kind === 'version') return this.#versionOf(ref, selector.cid);
    const record = await this.#record(ref, signal);
    const target = this.#targetOf(record, selector, share);
    if (target !== undefined) return target;
    const channels = Object.keys(record.channels).join(', ') || 'none';
    throw new NotFoundError(
      `model ${publisher}/${name} has no channel '${selector.channel}', it has: ${channels}`,
    );
  }

  #versionOf({ publisher, name }: ModelRef, cid: VersionCid): ResolvedModel {
    this.#joinVersion(cid);
    return { publisher, name, cid, sequence: 0, channel: null, fellBack: false };
  }

  /** Undefined when the record lacks the channel. */
  #targetOf(
    record: ReleaseRecord,
    selector: ChannelSelector,
    share: number,
  ): ResolvedModel | undefined {
    const target = selectTarget(record, selector, {
      share,
      isTripped: (channel) => this.#peer.outcomes.tripOf(record, channel) !== undefined,
    });
    if (target === undefined) return undefined;
    this.#joinVersion(target.cid);
    const { publisher, name, sequence } = record;
    return { publisher, name, sequence, ...target };
  }

  async #record({ publisher, name }: ModelRef, signal: AbortSignal): Promise<ReleaseRecord> {
    // A snapshot or a push usually brought the record; the DHT is asked when none did.
    const known = this.#peer.releases.cached(publisher, name);
    return (known ?? (await this.#peer.releases.find(publisher, name, { signal }))).record;
  }

  /** Waits for the peers around only where nothing is known or it is too old; otherwise asks them in the background in good time. */
  async #askWhenDue(ref: ModelRef, signal: AbortSignal): Promise<void> {
    const key = keyOf(ref);
    const asked = this.#asked.get(key);
    const now = Date.now();
    if (asked === undefined) return this.#askShared(ref, signal);
    if (now - asked.atMs <= ASK_INTERVAL_MS) return;
    const isFresh = now - Math.min(asked.atMs, this.#checkedAtMs(ref)) < MAX_KNOWN_AGE_MS;
    if (!isFresh && !asked.unanswered) return this.#waitForCheck(ref, signal);
    if (this.#asking.isUnderway(key)) return;
    this.#askShared(ref, signal).catch(() => {
      // What is known serves until it is too old; the next call then meets the failure itself.
    });
  }

  async #askShared(ref: ModelRef, signal: AbortSignal): Promise<void> {
    return this.#asking.run(keyOf(ref), (until) => this.#askAbout(ref, until), signal);
  }

  /** What is known serves when the check takes too long or fails: it was good a few seconds ago, and the nodes may be well. */
  async #waitForCheck(ref: ModelRef, signal: AbortSignal): Promise<void> {
    try {
      const bounded = AbortSignal.any([signal, AbortSignal.timeout(CHECK_WAIT_MS)]);
      await this.#askShared(ref, bounded);
    } catch {
      signal.throwIfAborted();
      const asked = this.#asked.get(keyOf(ref));
      if (asked !== undefined) asked.unanswered = true;
    }
  }

  /** When the release that a reference is resolved by was last found to be the newest. A version that is named has none. */
  #checkedAtMs({ publisher, name, selector }: ModelRef): number {
    if (selector.kind === 'version') return Number.POSITIVE_INFINITY;
    return this.#peer.releases.cached(publisher, name)?.checkedAtMs ?? Number.NEGATIVE_INFINITY;
  }

  #remember(key: string, atMs: number, unanswered: boolean): void {
    const hintedAtMs = this.#asked.get(key)?.hintedAtMs ?? 0;
    this.#asked.set(key, { atMs, hintedAtMs, unanswered });
  }

  async #askAbout(ref: ModelRef, signal: AbortSignal): Promise<void> {
    if (this.#joinGossip) this.#peer.follow(ref.publisher, ref.name);
    // From before the question: what changes while it is on its way is not in the answer.
    const askedAtMs = Date.now();
    const maxAgeMs =
      ref.selector.kind === 'version' ? Number.POSITIVE_INFINITY : ANSWERED_RELEASE_AGE_MS;
    await this.#ask(modelQuery(ref), signal, maxAgeMs);
    if (this.#checkedAtMs(ref) < askedAtMs - maxAgeMs) await this.#findRelease(ref, signal);
    this.#remember(keyOf(ref), askedAtMs, this.#checkedAtMs(ref) < askedAtMs - maxAgeMs);
  }

  /** Nobody around has the record, or none of them could ask the DHT of late, or all are silent: this peer asks it itself. */
  async #findRelease({ publisher, name }: ModelRef, signal: AbortSignal): Promise<void> {
    const isKnown = this.#peer.releases.cached(publisher, name) !== undefined;
    const until = isKnown
      ? AbortSignal.any([signal, AbortSignal.timeout(RECHECK_TIMEOUT_MS)])
      : signal;
    await this.#peer.releases.find(publisher, name, {
      signal: until,
      maxAgeMs: ANSWERED_RELEASE_AGE_MS,
    });
  }

  #joinVersion(cid: VersionCid): void {
    if (!this.#joinGossip) return;
    this.#peer.gossip.join(capacityBucket(cid));
    this.#peer.demand.join(cid);
  }

  /**
   * Asks a few peers at once and goes on with the first answer that says who serves the version, by a look-up that is no older
   * than this; when none does, with what all of them together said.
   */
  async #ask(query: ModelQuery, signal: AbortSignal, maxReleaseAgeMs: number): Promise<void> {
    await this.#peer.connected(signal);
    const asked = this.#peer.snapshots(query, { signal, atMost: SNAPSHOT_PEERS });
    const answers = asked.map(async (snapshot) => {
      const { announcements, releaseAgeMs = Number.POSITIVE_INFINITY } = await snapshot;
      // A peer may have heard of a release before it hears who serves it, or be cut off from the DHT: another one knows.
      if (announcements.length === 0 || releaseAgeMs > maxReleaseAgeMs) {
        throw new NotFoundError('nobody is known to serve it');
      }
    });
    await Promise.any(answers).catch(() => {
      // Nobody knows who serves it: the DHT, or the caller's own error, says the rest.
    });
  }

  /** Asks for their own word those that the DHT says hold a version: a peer knows only the nodes of the topics it is in. */
  async #askProviders(query: ModelQuery, cid: VersionCid, signal: AbortSignal): Promise<void> {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(PROVIDERS_TIMEOUT_MS)]);
    const asked: Promise<unknown>[] = [];
    try {
      for (;;) {
        for await (const id of findHolders(this.#peer, cid, { signal: bounded })) {
          asked.push(this.#peer.snapshot(id, query, bounded).catch(() => undefined));
        }
        if (asked.length > 0 || !this.#peer.joining) break;
        await delay(PROVIDERS_INTERVAL_MS, undefined, { signal: bounded });
      }
    } catch {
      // The DHT knows nobody, or time ran out: the caller says that nobody serves it.
    }
    await Promise.all(asked);
  }
}

/** A reference that names no channel may go to any version of the record. */
function modelQuery({ publisher, name, selector }: ModelRef): ModelQuery {
  const whole = selector.kind === 'channel' && selector.split === true;
  return { kind: 'model', publisher, name, selector: whole ? '' : selectorText(selector) };
}

function keyOf({ publisher, name, selector }: ModelRef): string {
  return `${publisher}/${name}@${selectorText(selector)}`;
}

function selectorText(selector: ModelRef['selector']): string {
  return selector.kind === 'channel' ? selector.channel : selector.cid;
}
