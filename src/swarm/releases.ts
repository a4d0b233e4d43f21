import { setTimeout as delay } from 'node:timers/promises';
import type { QueryEvent } from '@libp2p/kad-dht';
import { sameBytes, sha256 } from '../../protocols/digest.ts';
import { ConnectionError, DeadlineError, NotFoundError } from '../../protocols/errors.ts';
import {
  compareReleases,
  decodeRelease,
  type ReleaseRecord,
  releaseKey,
} from '../../protocols/release/index.ts';
import type { AbortOptions, PublisherId } from '../../protocols/types.ts';
import type { SwarmLibp2p } from './libp2p.ts';

/** How long a record found in the DHT answers for itself before it is looked up again. */
export const RELEASE_CACHE_MS = 5_000;

/** How long after its start a peer waits for a first DHT server: until then an empty answer says nothing. */
const JOIN_GRACE_MS = 5_000;

const RETRY_INTERVAL_MS = 100;

/** Records kept in memory; the one used longest ago goes first. */
const MAX_CACHED_RELEASES = 1024;

/** A record as it was signed and as it reads. */
export interface SignedRelease {
  readonly bytes: Uint8Array;
  readonly record: ReleaseRecord;
}

export interface FindReleaseOptions extends AbortOptions {
  /** Ask the DHT even when memory holds a recent record. @default false */
  readonly fresh?: boolean | undefined;
  /** Milliseconds since the last look-up up to which memory answers. @default 5000 */
  readonly maxAgeMs?: number | undefined;
}

export interface OfferReleaseOptions {
  /** When the question was asked that this record answers, in milliseconds since 1970: memory counts as looked up then. */
  readonly askedAtMs?: number | undefined;
}

export interface ReleaseDirectoryInit {
  /** Tells the peers that use the model, once the record is in the DHT. */
  readonly push: (release: SignedRelease) => Promise<void>;
}

/** What a look-up came to. */
interface QueryOutcome {
  readonly found: Uint8Array | undefined;
  /** Peers that answered, whether they had it or not. */
  readonly answers: number;
}

interface CachedRelease extends SignedRelease {
  readonly hash: Uint8Array;
  /** When it was news, or was asked for: a record that is only repeated may have been superseded. */
  readonly checkedAtMs: number;
}

/** Finds and publishes release records: the DHT is the truth, memory a cache that never goes back to a lower sequence. */
export class ReleaseDirectory {
  readonly #libp2p: SwarmLibp2p;
  readonly #cache = new Map<string, CachedRelease>();
  readonly #listeners = new Set<(release: SignedRelease) => void>();
  readonly #init: ReleaseDirectoryInit;
  readonly #startedAtMs = performance.now();

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
  ): Promise<SignedRelease> {
    const cached = this.#cache.get(cacheKey(publisher, name));
    const maxAgeMs = options.maxAgeMs ?? RELEASE_CACHE_MS;
    const fresh = cached !== undefined && Date.now() - cached.checkedAtMs < maxAgeMs;
    if (fresh && options.fresh !== true) return cached;
    let askedAtMs = Date.now();
    let outcome = await this.#query(publisher, name, options);
    while (outcome.found === undefined && outcome.answers === 0 && this.#joining(options)) {
      await delay(RETRY_INTERVAL_MS);
      askedAtMs = Date.now();
      outcome = await this.#query(publisher, name, options);
    }
    if (outcome.found !== undefined) await this.offer(outcome.found, { askedAtMs });
    const best = this.#cache.get(cacheKey(publisher, name));
    if (best !== undefined) return best;
    if (options.signal?.aborted === true) {
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
  cached(publisher: PublisherId, name: string): SignedRelease | undefined {
    return this.#cache.get(cacheKey(publisher, name));
  }

  /**
   * Takes in a record from anywhere, after checking its signature. The higher sequence stays.
   *
   * @throws {ERR_INVALID_RECORD | ERR_LIMIT} when the record is not what it claims.
   */
  async offer(bytes: Uint8Array, options: OfferReleaseOptions = {}): Promise<SignedRelease> {
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
    const checkedAtMs = options.askedAtMs ?? (isNews ? Date.now() : (known?.checkedAtMs ?? 0));
    const best: CachedRelease = { ...(supersedes ? offered : known), checkedAtMs };
    this.#cache.delete(key);
    this.#cache.set(key, best);
    const [oldest] = this.#cache.keys();
    if (this.#cache.size > MAX_CACHED_RELEASES && oldest !== undefined) this.#cache.delete(oldest);
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
    for (;;) {
      const stored = await this.#put(key, bytes, options);
      if (stored > 0) {
        await this.#init.push({ bytes, record });
        return stored;
      }
      options.signal?.throwIfAborted();
      if (!this.#joining(options)) break;
      await delay(RETRY_INTERVAL_MS);
    }
    throw new ConnectionError(
      `no DHT server took the release record of ${record.publisher}/${record.name}`,
    );
  }

  async #put(key: Uint8Array, bytes: Uint8Array, options: AbortOptions): Promise<number> {
    let stored = 0;
    const events = this.#libp2p.services.dht.put(key, bytes, {
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    for await (const event of events) if (isStored(event)) stored += 1;
    return stored;
  }

  async #query(publisher: PublisherId, name: string, options: AbortOptions): Promise<QueryOutcome> {
    let found: Uint8Array | undefined;
    let answers = 0;
    try {
      const events = this.#libp2p.services.dht.get(releaseKey(publisher, name), {
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
      for await (const event of events) {
        // The last VALUE event is the one the selector chose.
        if (event.name === 'VALUE') found = event.value;
        if (event.name === 'PEER_RESPONSE') answers += 1;
      }
    } catch {
      // A query that fails (no peers yet, no record, time ran out) found nothing; the caller says which it was.
    }
    return { found, answers };
  }

  /** A routing table is empty for a moment after a peer started, however many peers it is connected to. */
  #joining({ signal }: AbortOptions): boolean {
    return signal?.aborted !== true && performance.now() - this.#startedAtMs < JOIN_GRACE_MS;
  }
}

function cacheKey(publisher: string, name: string): string {
  return `${publisher}/${name}`;
}

function isStored(event: QueryEvent): boolean {
  return event.name === 'PEER_RESPONSE' && event.messageName === 'PUT_VALUE';
}
