import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { digestOfCid } from '../../protocols/digest.ts';
import { isSwarmError, NotFoundError } from '../../protocols/errors.ts';
import { type Manifest, manifestBytes } from '../../protocols/manifest/index.ts';
import type { RateLimiter, TransferConnection } from '../../protocols/transfer/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { DistrustedPeers } from '../../src/swarm/distrusted-peers.ts';
import { fetchVersion } from '../../src/swarm/fetch.ts';
import type { BlockConnection } from '../../src/swarm/fetch-peers.ts';
import type { SwarmPeer } from '../../src/swarm/peer.ts';
import { announcedHolders, connectToHolder, findHolders } from '../../src/swarm/version-holders.ts';
import { Askers } from './askers.ts';
import type { StoredVersion, VersionStore } from '../store/version-store.ts';

/** How long a node that has just started waits for a first peer before it looks for holders. */
const JOIN_TIMEOUT_MS = 30_000;

/** Waits before a version that nobody asked for just now is tried again; the last one repeats. */
const RETRY_DELAYS_MS = [1_000, 2_000, 5_000, 15_000, 60_000];

/** Milliseconds for a look for somebody who has all of a version: a look-up in the DHT, and a few dials. */
const FIND_HOLDER_TIMEOUT_MS = 30_000;

/** Milliseconds between two lines of the log on one fetch. */
const LOG_INTERVAL_MS = 10_000;

export interface ReplicaFetcherComponents {
  readonly peer: SwarmPeer;
  readonly store: VersionStore;
  readonly logger: Logger;
  /** Holds all fetches of the node to a rate together. @default as fast as it goes */
  readonly limit?: RateLimiter | undefined;
}

export interface ReplicaFetchOptions {
  /** Who asked for the replica, and who still may. While nobody has, the fetch is tried until it succeeds. */
  readonly askers: Askers;
  readonly signal: AbortSignal;
  /** Refuses a version by its manifest; not asked about one that is on disk. */
  readonly accept: (manifest: Manifest) => Promise<void>;
  readonly onProgress: (bytes: number, totalBytes: number | null) => void;
}

/** Brings versions onto this node's disk, and remembers which peers are not worth asking. */
export class ReplicaFetcher {
  readonly #components: ReplicaFetcherComponents;
  readonly #distrusted = new DistrustedPeers();

  constructor(components: ReplicaFetcherComponents) {
    this.#components = components;
  }

  /** The version on disk, fetched from its holders when it is not there yet. */
  async fetch(cid: VersionCid, options: ReplicaFetchOptions): Promise<StoredVersion> {
    const { store } = this.#components;
    const stored = await store.get(cid, options);
    if (stored !== undefined) return stored;
    await this.#fetchPatiently(cid, options);
    const fetched = await store.get(cid);
    if (fetched === undefined) {
      throw new Error(`store lost version ${cid} right after it was fetched`);
    }
    return fetched;
  }

  /**
   * Fetches what a damaged version lacks, once, and gives the bytes that came from others.
   *
   * @throws {ERR_NOT_FOUND} when no other peer has all of it; then it is left as it is, and what is whole of it is served on.
   * @throws as {@link fetchVersion} does.
   */
  async refetch(cid: VersionCid, signal: AbortSignal): Promise<number> {
    await this.#expectHolder(cid, signal);
    return this.#fetchOnce(cid, {
      askers: new Askers(),
      signal,
      // It was accepted when it came.
      accept: async () => undefined,
      onProgress: () => undefined,
    });
  }

  /** Whoever asked hears why it does not work, and asks elsewhere; what was held before a restart has nobody else. */
  async #fetchPatiently(cid: VersionCid, options: ReplicaFetchOptions): Promise<void> {
    const { logger } = this.#components;
    for (let attempt = 0; ; attempt += 1) {
      try {
        await this.#fetchOnce(cid, options);
        return;
      } catch (error) {
        options.signal.throwIfAborted();
        const later =
          isSwarmError(error) && ['ERR_NOT_FOUND', 'ERR_CONNECTION'].includes(error.code);
        if (!later || options.askers.ids.length > 0) throw error;
        const waitMs = RETRY_DELAYS_MS[Math.min(attempt, RETRY_DELAYS_MS.length - 1)] ?? 0;
        logger.warn({ err: error, cid, retryAfterMs: waitMs }, 'version cannot be fetched yet');
        const waited = new AbortController();
        const signal = AbortSignal.any([options.signal, waited.signal]);
        const wait = delay(waitMs, undefined, { signal, ref: false });
        await Promise.race([wait, options.askers.next()]);
        waited.abort();
        await wait.catch(() => options.signal.throwIfAborted());
      }
    }
  }

  async #expectHolder(cid: VersionCid, signal: AbortSignal): Promise<void> {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(FIND_HOLDER_TIMEOUT_MS)]);
    try {
      for await (const holder of findHolders(this.#components.peer, cid, { signal: bounded })) {
        if (await this.#isWholeAt(holder, cid, bounded)) return;
      }
    } catch (cause) {
      signal.throwIfAborted();
      // Too late, or the DHT knows nobody: both say that there is none to fetch from.
      this.#components.logger.debug({ err: cause, cid }, 'holders of a version cannot be found');
    }
    throw new NotFoundError(`no other peer that can be reached has all of version ${cid}`);
  }

  async #isWholeAt(holder: string, cid: VersionCid, signal: AbortSignal): Promise<boolean> {
    try {
      const connection = await connectToHolder(this.#components.peer, holder, signal);
      try {
        return (await connection.holdings(digestOfCid(cid), { signal })).whole;
      } finally {
        await connection.close();
      }
    } catch {
      // A provider record may be two days old: the next one may answer.
      signal.throwIfAborted();
      return false;
    }
  }

  /** The bytes that came from others. */
  async #fetchOnce(cid: VersionCid, options: ReplicaFetchOptions): Promise<number> {
    const { peer, store, logger, limit } = this.#components;
    const { signal, askers, accept } = options;
    const startedAtMs = performance.now();
    let loggedAtMs = startedAtMs;
    const given = new Map<string, number>();
    if (askers.ids.length === 0) await joined(peer, signal);
    const { manifest, dropped } = await fetchVersion({
      cid,
      peers: findHolders(peer, cid, { first: askers.ids, signal }),
      latecomers: () => [...askers.ids, ...announcedHolders(peer, cid)],
      connect: async (holder, connectSignal) =>
        counted(holder, await connectToHolder(peer, holder, connectSignal), given),
      distrusted: this.#distrusted,
      limit,
      store,
      accept,
      signal,
      onProgress: (bytes, totalBytes) => {
        options.onProgress(bytes, totalBytes);
        if (performance.now() - loggedAtMs < LOG_INTERVAL_MS) return;
        loggedAtMs = performance.now();
        logger.info({ cid, bytes, totalBytes }, 'fetching version');
      },
    });
    const ms = Math.round(performance.now() - startedAtMs);
    const bytes = manifestBytes(manifest);
    const failures = [...dropped].map(([id, error]) => `${id}: ${textOf(error)}`);
    const from = Object.fromEntries(given);
    logger.info({ cid, bytes, ms, from, dropped: failures }, 'version fetched');
    return [...given.values()].reduce((total, one) => total + one, 0);
  }
}

/** A connection that adds up the bytes its peer gave. */
function counted(
  holder: string,
  connection: TransferConnection,
  given: Map<string, number>,
): BlockConnection {
  return {
    fetch: async (digest, maxBytes, options) => {
      const block = await connection.fetch(digest, maxBytes, options);
      given.set(holder, (given.get(holder) ?? 0) + block.byteLength);
      return block;
    },
    holdings: (version, options) => connection.holdings(version, options),
    close: () => connection.close(),
  };
}

/** A first peer is there, or it has been waited for long enough. */
async function joined(peer: SwarmPeer, signal: AbortSignal): Promise<void> {
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(JOIN_TIMEOUT_MS)]);
  await peer.connected(bounded).catch(() => signal.throwIfAborted());
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
