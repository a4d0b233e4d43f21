import type { Logger } from 'pino';
import type { Manifest } from '../../protocols/manifest/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { BackgroundWork } from '../background-work.ts';
import { Askers } from '../replica/askers.ts';
import type { ReplicaOrigin } from '../replica/replica.ts';
import type { ReplicaFetcher } from '../replica/replica-fetch.ts';
import type { ReplicaSet } from '../replica/replica-set.ts';

export interface PrefetcherComponents {
  readonly fetcher: Pick<ReplicaFetcher, 'fetch'>;
  readonly replicas: Pick<ReplicaSet, 'keep'>;
  /** Refuses what could never run here. */
  readonly accept: (manifest: Manifest) => Promise<void>;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}

interface Underway {
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

/** Fetches versions onto the disk before they are wanted in memory, so that a later load is local. */
export class Prefetcher {
  readonly #components: PrefetcherComponents;
  readonly #work: BackgroundWork;
  readonly #underway = new Map<VersionCid, Underway>();

  constructor(components: PrefetcherComponents) {
    this.#components = components;
    this.#work = new BackgroundWork((error) => {
      components.logger.warn({ err: error }, 'version could not be fetched ahead of need');
    });
  }

  /** Fetches under way. */
  get size(): number {
    return this.#underway.size;
  }

  /**
   * Begins to fetch a version from peers that have it; once for each, and not at all where nobody is known who has: a fetch that
   * nobody is behind is tried until somebody is found, and takes the place of another meanwhile.
   *
   * @param onFailed hears of a fetch that fails, but for one that is ended
   */
  fetch(origin: ReplicaOrigin, peers: readonly string[], onFailed: () => void): void {
    const { cid } = origin;
    if (peers.length === 0 || this.#underway.has(cid) || this.#work.signal.aborted) return;
    const abort = new AbortController();
    const ended = Promise.withResolvers<void>();
    this.#underway.set(cid, { abort, done: ended.promise });
    this.#work.run(async () => {
      try {
        await this.#fetch(origin, peers, abort.signal);
      } catch (error) {
        if (!this.#work.signal.aborted) onFailed();
        throw error;
      } finally {
        this.#underway.delete(cid);
        ended.resolve();
      }
    });
  }

  /** Ends all fetches: a version is wanted in memory now, and they give way to it. What they have brought is there for whoever goes on. */
  async end(): Promise<void> {
    const ended = [...this.#underway.values()];
    for (const { abort } of ended) abort.abort();
    await Promise.all(ended.map(({ done }) => done));
  }

  async stop(): Promise<void> {
    await this.#work.stop();
  }

  async #fetch(
    origin: ReplicaOrigin,
    peers: readonly string[],
    ending: AbortSignal,
  ): Promise<void> {
    const { fetcher, replicas, accept, logger } = this.#components;
    const askers = new Askers();
    for (const peer of peers) askers.add(peer);
    const signal = AbortSignal.any([this.#work.signal, ending]);
    try {
      await fetcher.fetch(origin.cid, { askers, signal, accept, onProgress: () => {} });
    } catch (error) {
      if (ending.aborted) return;
      throw error;
    }
    await replicas.keep(origin);
    logger.info({ cid: origin.cid, name: origin.name }, 'version fetched ahead of need');
  }
}
