import { setTimeout as delay } from 'node:timers/promises';
import type { QueryEvent } from '@libp2p/kad-dht';
import { BoundedMap } from '../../protocols/bounded-map.ts';
import { sameBytes, sha256 } from '../../protocols/digest.ts';
import { ConnectionError, DeadlineError, NotFoundError } from '../../protocols/errors.ts';
import {
  compareReleases,
  decodeRelease,
  type ReleaseRecord,
  releaseKey,
} from '../../protocols/release/index.ts';
import type { AbortOptions, PublisherId } from '../../protocols/types.ts';
import { DhtDepartures } from './dht-departures.ts';
import type { SwarmLibp2p } from './libp2p.ts';
import { SharedWork } from './shared-work.ts';

/** How long a record found in the DHT answers for itself before it is looked up again. */
const RELEASE_CACHE_MS = 5_000;

/** How long a look-up may take. */
const LOOKUP_TIMEOUT_MS = 15_000;

/** How long it goes on once a first peer had a record: one that cannot be reached must not hold up what the others said. */
const SETTLE_MS = 1_000;

const RETRY_INTERVAL_MS = 100;

/** Queries in a row that met only peers which had left: each takes up to 8 of them out of the routing table. */
const MAX_STALE_QUERIES = 32;

/** Records kept in memory; the one used longest ago goes first. */
const MAX_CACHED_RELEASES = 1024;

/** A record as it was signed and as it reads. */
export interface SignedRelease {
  readonly bytes: Uint8Array;
  readonly record: ReleaseRecord;
}

/** A record and how far it can be relied on to be the newest. */
export interface KnownRelease extends SignedRelease {
  /**
   * When the last look-up in the DHT began that found nothing newer, this peer's or that of one that was asked; 0 for none. That
   * a record is news, or is repeated, says nothing of it: another may have come after it.
   */
  readonly checkedAtMs: number;
}

export interface FindReleaseOptions extends AbortOptions {
  /** Begin a look-up now, whatever memory holds. @default false */
  readonly fresh?: boolean | undefined;
  /** Milliseconds since the last look-up began up to which its outcome answers. @default 5000 */
  readonly maxAgeMs?: number | undefined;
}

export interface OfferReleaseOptions {
  /** When the look-up began that this record came of, in milliseconds since 1970. @default none was made */
  readonly checkedAtMs?: number | undefined;
}

export interface ReleaseDirectoryInit {
  /** Tells the peers that use the model, once the record is in the DHT. */
  readonly push: (release: SignedRelease) => Promise<void>;
  /** True while the peer is so new that its DHT may know nobody yet: what is not found then is looked for again. */
  readonly joining: () => boolean;
}

/** What a query came to. */
interface QueryOutcome {
  readonly found: boolean;
  /** Peers that answered, whether they had it or not. */
  readonly answers: number;
  /** Peers that have left, and are not asked again; counted where nobody answered. */
  readonly departed: number;
}

interface QueryOptions {
  /** When the query began. */
  readonly checkedAtMs: number;
  /** Whether peers were forgotten before it because they could not be asked. */
  readonly retried: boolean;
  readonly signal: AbortSignal;
}

/** What a put came to. */
interface PutOutcome extends Pick<QueryOutcome, 'departed'> {
  readonly stored: number;
}

interface CachedRelease extends KnownRelease {
  readonly hash: Uint8Array;
}

/** Finds and publishes release records: the DHT is the truth, memory a cache that never goes back to a lower sequence. */
export class ReleaseDirectory {
  readonly #libp2p: SwarmLibp2p;
  readonly #cache = new BoundedMap<string, CachedRelease>(MAX_CACHED_RELEASES);
  readonly #listeners = new Set<(release: SignedRelease) => void>();
  readonly #init: ReleaseDirectoryInit;
  /** One look-up of a model at a time, however many ask; tells when it began. */
  readonly #lookUps = new SharedWork<number>(LOOKUP_TIMEOUT_MS);
  readonly #stopping = new AbortController();

  constructor(libp2p: SwarmLibp2p, init: ReleaseDirectoryInit) {
    this.#libp2p = libp2p;
    this.#init = init;
  }

  /**
   * The newest release record of a model.
   *
   * @throws {ERR_NOT_FOUND} when neither memory nor the DHT has one.
   * @throws {ERR_DEADLINE} when the signal's time ran out before an answer.
   */
  async find(
    publisher: PublisherId,
    name: string,
    options: FindReleaseOptions = {},
  ): Promise<KnownRelease> {
    const { signal = AbortSignal.timeout(LOOKUP_TIMEOUT_MS), fresh = false } = options;
    const key = cacheKey(publisher, name);
    const maxAgeMs = fresh ? 0 : (options.maxAgeMs ?? RELEASE_CACHE_MS);
    const sinceMs = Date.now() - maxAgeMs;
    const cached = this.#cache.get(key);
    if (!fresh && cached !== undefined && cached.checkedAtMs > sinceMs) return cached;
    try {
      const lookUp = async (until: AbortSignal): Promise<number> =>
        this.#lookUp(publisher, name, AbortSignal.any([until, this.#stopping.signal]));
      // One that was under way may have begun too early to be an answer; the next begins after this call.
      const begunAtMs = await this.#lookUps.run(key, lookUp, signal);
      if (begunAtMs < sinceMs) await this.#lookUps.run(key, lookUp, signal);
    } catch {
      // The caller's time ran out: what memory holds is better than nothing.
    }
    const best = this.#cache.get(key);
    if (best !== undefined) return best;
    if (signal.aborted) {
      throw new DeadlineError(`no answer from the DHT for ${publisher}/${name} in time`, 'resolve');
    }
    throw new NotFoundError(`model ${publisher}/${name} is unknown: no release record in the DHT`);
  }

  /** Calls back for each record that supersedes what was known; returns the function that ends it. */
  onChange(listener: (release: SignedRelease) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What memory holds, however old. */
  cached(publisher: PublisherId, name: string): KnownRelease | undefined {
    return this.#cache.get(cacheKey(publisher, name));
  }

  /** Everything that memory holds, however old. */
  allCached(): KnownRelease[] {
    return [...this.#cache.values()];
  }

  /**
   * Takes in a record from anywhere, after checking its signature. The higher sequence stays.
   *
   * @throws {ERR_INVALID_RECORD | ERR_LIMIT} when the record is not what it claims.
   */
  async offer(bytes: Uint8Array, options: OfferReleaseOptions = {}): Promise<KnownRelease> {
    const record = await decodeRelease(bytes);
    const key = cacheKey(record.publisher, record.name);
    const known = this.#cache.get(key);
    const offered = { bytes, record, hash: sha256(bytes) };
    const supersedes =
      known === undefined ||
      compareReleases(
        { sequence: record.sequence, hash: offered.hash },
        { sequence: known.record.sequence, hash: known.hash },
      ) >= 0;
    const isNews = supersedes && (known === undefined || !sameBytes(known.hash, offered.hash));
    const checkedAtMs = Math.max(options.checkedAtMs ?? 0, known?.checkedAtMs ?? 0);
    const best: CachedRelease = { ...(supersedes ? offered : known), checkedAtMs };
    this.#cache.set(key, best);
    if (isNews) for (const listener of this.#listeners) listener(best);
    return best;
  }

  /**
   * Puts a record into the DHT, then pushes it to the peers that use the model; returns how many peers of the DHT took it.
   *
   * @throws {ERR_CONNECTION} when no peer took it.
   */
  async publish(bytes: Uint8Array, options: AbortOptions = {}): Promise<number> {
    const { record } = await this.offer(bytes);
    const key = releaseKey(record.publisher, record.name);
    for (let stale = 0; ; ) {
      const { stored, departed } = await this.#put(key, bytes, options);
      if (stored > 0) {
        await this.#init.push({ bytes, record });
        return stored;
      }
      options.signal?.throwIfAborted();
      if (departed > 0 && stale < MAX_STALE_QUERIES) stale += 1;
      else if (this.#joining(options)) await delay(RETRY_INTERVAL_MS);
      else break;
    }
    throw new ConnectionError(
      `no DHT server took the release record of ${record.publisher}/${record.name}`,
    );
  }

  async #put(key: Uint8Array, bytes: Uint8Array, options: AbortOptions): Promise<PutOutcome> {
    let stored = 0;
    const departures = new DhtDepartures(this.#libp2p);
    const events = this.#libp2p.services.dht.put(key, bytes, {
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    for await (const event of events) {
      departures.note(event);
      if (isStored(event)) stored += 1;
    }
    return { stored, departed: stored > 0 ? 0 : await departures.forget(options) };
  }

  /** Ends the look-ups under way. */
  stop(): void {
    this.#stopping.abort();
  }

  /** Takes in what the DHT has; returns when the query began. */
  async #lookUp(publisher: PublisherId, name: string, signal: AbortSignal): Promise<number> {
    for (let stale = 0; ; ) {
      const begunAtMs = Date.now();
      const { found, answers, departed } = await this.#query(publisher, name, {
        checkedAtMs: begunAtMs,
        retried: stale > 0,
        signal,
      });
      if (departed > 0 && stale < MAX_STALE_QUERIES) {
        stale += 1;
        continue;
      }
      if (found || answers > 0 || !this.#joining({ signal })) return begunAtMs;
      await delay(RETRY_INTERVAL_MS);
    }
  }

  async #query(
    publisher: PublisherId,
    name: string,
    { checkedAtMs, retried, signal }: QueryOptions,
  ): Promise<QueryOutcome> {
    const settled = new AbortController();
    let settling: NodeJS.Timeout | undefined;
    let answers = 0;
    let failures = 0;
    let newest: SignedRelease | undefined;
    const departures = new DhtDepartures(this.#libp2p);
    try {
      const events = this.#libp2p.services.dht.get(releaseKey(publisher, name), {
        signal: AbortSignal.any([signal, settled.signal]),
      });
      for await (const event of events) {
        if (event.name === 'PEER_RESPONSE') answers += 1;
        if (event.name === 'QUERY_ERROR') failures += 1;
        departures.note(event);
        const bytes = recordIn(event);
        if (bytes === undefined) continue;
        newest = (await this.#take(bytes)) ?? newest;
        settling ??= setTimeout(() => settled.abort(), SETTLE_MS);
      }
    } catch {
      // A query that fails (no peers yet, no record, time ran out) found what it found; the caller says which it was.
    } finally {
      clearTimeout(settling);
    }
    // Its own copy alone says nothing when there are others that could not be asked.
    const asked = answers > 0 || (failures === 0 && !retried);
    if (newest !== undefined && asked) await this.offer(newest.bytes, { checkedAtMs });
    const departed = asked ? 0 : await departures.forget({ signal });
    return { found: newest !== undefined, answers, departed };
  }

  /** What a peer of the DHT gave; undefined when it is not what it claims. */
  async #take(bytes: Uint8Array): Promise<SignedRelease | undefined> {
    try {
      return await this.offer(bytes);
    } catch {
      return undefined;
    }
  }

  #joining({ signal }: AbortOptions): boolean {
    return signal?.aborted !== true && this.#init.joining();
  }
}

function cacheKey(publisher: string, name: string): string {
  return `${publisher}/${name}`;
}

/** The record that an event of a query brings: a peer's, or the one that was chosen at the end. */
function recordIn(event: QueryEvent): Uint8Array | undefined {
  if (event.name === 'VALUE') return event.value;
  return event.name === 'PEER_RESPONSE' ? event.record?.value : undefined;
}

function isStored(event: QueryEvent): boolean {
  return event.name === 'PEER_RESPONSE' && event.messageName === 'PUT_VALUE';
}
