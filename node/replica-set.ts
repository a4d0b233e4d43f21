import { CID } from 'multiformats/cid';
import type { Logger } from 'pino';
import type { AnnouncedVersion } from '../protocols/capacity/index.ts';
import { ForbiddenError, isSwarmError } from '../protocols/errors.ts';
import { resolveDeployment } from '../protocols/manifest/index.ts';
import type { Delegation } from '../protocols/release/index.ts';
import {
  openPlacementGrant,
  type ReplicaProgress,
  type ReplicaRequest,
} from '../protocols/replica/index.ts';
import type { VersionCid } from '../protocols/types.ts';
import type { SwarmPeer } from '../src/swarm/peer.ts';
import { Askers } from './askers.ts';
import type { InferenceBackend } from './backend/backend.ts';
import { type AllowList, allows } from './node-init.ts';
import { Replica, type ReplicaOrigin } from './replica.ts';
import type { ReplicaFetcher } from './replica-fetch.ts';
import type { ReleaseKeeper } from './release-keeper.ts';
import { probeBatching } from './scheduler/batch-probe.ts';
import { VersionQueue } from './scheduler/version-queue.ts';
import type { VersionStore } from './store/version-store.ts';
import { checkHost, loadVersion } from './version-load.ts';

/** How often a waiting publisher hears how far the fetch is. */
const PROGRESS_INTERVAL_MS = 250;

const DHT_TIMEOUT_MS = 30_000;

/** Versions whose end is still told, so that those who missed the first word hear it again. */
const MAX_REMEMBERED_GONE = 16;

export interface ReplicaSetInit {
  readonly allowPublishers: AllowList;
  readonly maxQueued: number;
  readonly executionLimitMs: number;
  readonly logger: Logger;
}

export interface ReplicaSetComponents {
  readonly peer: SwarmPeer;
  readonly store: VersionStore;
  readonly fetcher: ReplicaFetcher;
  readonly backend: InferenceBackend;
  readonly releases: ReleaseKeeper;
  /** Called after any change that others should hear of. */
  readonly changed: () => void;
}

interface Holding {
  readonly replica: Replica;
  readonly askers: Askers;
  progress: ReplicaProgress;
  /** Settles when the replica is ready or could not be brought up. */
  done: Promise<void>;
}

/** The versions this node holds: takes them on when asked and allowed, brings them back after a restart. */
export class ReplicaSet {
  readonly #init: ReplicaSetInit;
  readonly #components: ReplicaSetComponents;
  readonly #holdings = new Map<VersionCid, Holding>();
  readonly #gone: AnnouncedVersion[] = [];
  readonly #stopping = new AbortController();

  constructor(components: ReplicaSetComponents, init: ReplicaSetInit) {
    this.#components = components;
    this.#init = init;
  }

  /** The replica of a version, in whatever state; undefined when this node does not hold it. */
  get(cid: VersionCid): Replica | undefined {
    return this.#holdings.get(cid)?.replica;
  }

  announced(): AnnouncedVersion[] {
    return [
      ...[...this.#holdings.values()].map(({ replica }) => replica.announced()),
      ...this.#gone,
    ];
  }

  /**
   * Takes on a replica and yields how far it is, `ready` last. Asked twice for one version, it is loaded once. The work
   * goes on when the asker leaves.
   *
   * @throws {ERR_FORBIDDEN} when this node does not serve the publisher.
   * @throws {ERR_INVALID_RECORD} when the grant is not what it claims.
   */
  async *hold(
    { grant }: ReplicaRequest,
    asker: string,
    signal: AbortSignal,
  ): AsyncGenerator<ReplicaProgress> {
    const { publisher, name, cid, delegation } = await openPlacementGrant(grant);
    if (!allows(this.#init.allowPublishers, publisher)) {
      throw new ForbiddenError(
        `this node does not serve publisher ${publisher} (its --allow-publisher list says whom it serves)`,
      );
    }
    if (delegation !== undefined) await this.#refuseRevoked(delegation, signal);
    yield* watch(this.#take({ publisher, name, cid }, asker), signal);
  }

  /** A delegate whose certificate the publisher has stepped over can release nothing any more, so it places nothing either. */
  async #refuseRevoked(delegation: Delegation, signal: AbortSignal): Promise<void> {
    const { publisher, name, delegate, untilSequence } = delegation;
    const newest = await this.#components.peer.releases
      .find(publisher, name, { signal: AbortSignal.any([signal, this.#dhtSignal()]) })
      .catch((error: unknown) => {
        signal.throwIfAborted();
        if (isSwarmError(error) && error.code === 'ERR_NOT_FOUND') return undefined;
        throw error;
      });
    if (newest === undefined || newest.record.sequence <= untilSequence) return;
    throw new ForbiddenError(
      `delegation of ${publisher}/${name} to ${delegate} ended at sequence ${untilSequence}, the release has ${newest.record.sequence}`,
    );
  }

  /** Loads again what was held before a restart; a version that fails stays on disk and is told in the log. */
  async restore(): Promise<void> {
    for (const { publisher, name, cid } of await this.#components.store.wanted()) {
      if (!allows(this.#init.allowPublishers, publisher)) {
        this.#init.logger.warn(
          { publisher, name, cid },
          'publisher is not served any more: not loaded',
        );
        continue;
      }
      this.#take({ publisher, name, cid }, undefined);
    }
  }

  /**
   * Loads a version anew that is held, or was and is still to be served; what runs ends first, and what comes meanwhile is sent
   * to other nodes. False when it is neither.
   *
   * @throws as its load did, when it cannot be brought up again.
   */
  async reload(cid: VersionCid, signal: AbortSignal): Promise<boolean> {
    const known = this.#holdings.get(cid);
    const wanted = (await this.#components.store.wanted()).find((one) => one.cid === cid);
    const origin = known?.replica.origin ?? wanted;
    if (origin === undefined || !allows(this.#init.allowPublishers, origin.publisher)) return false;
    await known?.done.catch(() => {
      // How it came up before does not matter: its files were damaged.
    });
    signal.throwIfAborted();
    await known?.replica.unload();
    if (this.#stopping.signal.aborted) return false;
    const { publisher, name } = origin;
    await this.#take({ publisher, name, cid }, undefined).done;
    return true;
  }

  /** Ends every replica: what runs first, then its process. */
  async stop(): Promise<void> {
    this.#stopping.abort(new ForbiddenError('this node is stopping'));
    const holdings = [...this.#holdings.values()];
    await Promise.allSettled(holdings.map(({ done }) => done));
    await Promise.allSettled(holdings.map(({ replica }) => replica.unload()));
  }

  #take(origin: ReplicaOrigin, asker: string | undefined): Holding {
    const known = this.#holdings.get(origin.cid);
    if (known !== undefined && known.replica.state !== 'gone') {
      // What is fetched since a restart has nobody to fetch from until somebody asks who has it.
      if (asker !== undefined) known.askers.add(asker);
      return known;
    }
    const replica = new Replica(origin);
    const holding: Holding = {
      replica,
      askers: new Askers(),
      progress: { state: 'fetching', bytes: 0, totalBytes: null },
      done: Promise.resolve(),
    };
    if (asker !== undefined) holding.askers.add(asker);
    holding.done = this.#bring(holding, asker);
    holding.done.catch(() => {
      // Whoever waits sees the failure; the log has it in any case.
    });
    this.#holdings.set(origin.cid, holding);
    this.#components.changed();
    return holding;
  }

  async #bring(holding: Holding, asker: string | undefined): Promise<void> {
    const { origin } = holding.replica;
    const { peer, store, fetcher, backend, changed } = this.#components;
    const signal = this.#stopping.signal;
    try {
      if (asker !== undefined) {
        const { publisher, name } = origin;
        const release = peer.releases.cached(publisher, name)?.bytes ?? null;
        await store.want({ ...origin, release });
      }
      const stored = await fetcher.fetch(origin.cid, {
        askers: holding.askers,
        signal,
        accept: (manifest) => checkHost(backend, manifest, { signal }),
        onProgress: (bytes, totalBytes) => {
          holding.progress = { state: 'fetching', bytes, totalBytes };
        },
      });
      store.noteUse(origin.cid);
      // From now on others may fetch it here, whether it can be run here or not.
      void this.#provide(origin.cid);
      holding.progress = { state: 'loading' };
      const { logger } = this.#init;
      const model = await loadVersion(backend, { cid: origin.cid, ...stored }, { signal, logger });
      model.onStateChange(changed);
      const deployment = resolveDeployment(stored.manifest.deployment);
      const batches = await probeBatching(model, deployment, signal);
      const queue = new VersionQueue(model, {
        maxQueued: Math.min(this.#init.maxQueued, deployment.maxQueued ?? this.#init.maxQueued),
        executionLimitMs: this.#init.executionLimitMs,
        batching: {
          axis: deployment.batchDimension,
          maxRows: batches.maxRows,
          maxDelayMs: deployment.maxBatchDelayMs,
        },
      });
      holding.replica.loaded(model, queue);
      holding.progress = { state: 'ready' };
      changed();
      this.#init.logger.info(
        { cid: origin.cid, name: origin.name, provider: model.provider, batches },
        'replica ready',
      );
      this.#components.releases.learn(origin.publisher, origin.name);
    } catch (error) {
      await this.#failed(holding, error);
      throw error;
    }
  }

  async #failed(holding: Holding, error: unknown): Promise<void> {
    const { cid, name } = holding.replica.origin;
    this.#init.logger.warn({ err: error, cid, name }, 'replica could not be brought up');
    this.#holdings.delete(cid);
    this.#gone.push({ ...holding.replica.announced(), state: 'gone' });
    if (this.#gone.length > MAX_REMEMBERED_GONE) this.#gone.shift();
    // What can never work is not tried again at the next start; what lacked peers or room is.
    const lasting =
      isSwarmError(error) &&
      ['ERR_INVALID_MODEL', 'ERR_INVALID_RECORD', 'ERR_LIMIT'].includes(error.code);
    if (lasting) {
      await this.#components.store.unwant(cid);
      await this.#components.store.remove(cid);
    }
    this.#components.changed();
  }

  /** Tells the DHT that this node holds the version. */
  async #provide(cid: VersionCid): Promise<void> {
    try {
      await this.#components.peer.libp2p.contentRouting.provide(CID.parse(cid), {
        signal: this.#dhtSignal(),
      });
    } catch (error) {
      this.#dhtFailed(cid, error);
    }
  }

  #dhtSignal(): AbortSignal {
    return AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(DHT_TIMEOUT_MS)]);
  }

  #dhtFailed(cid: VersionCid, error: unknown): void {
    if (this.#stopping.signal.aborted) return;
    this.#init.logger.warn(
      { err: error, cid },
      'DHT could not be told; tried again within the hour',
    );
  }
}

async function* watch(holding: Holding, signal: AbortSignal): AsyncGenerator<ReplicaProgress> {
  let settled = false;
  const done = holding.done.finally(() => {
    settled = true;
  });
  // Awaited below; until then a rejection must not count as unhandled.
  done.catch(() => undefined);
  while (!settled) {
    signal.throwIfAborted();
    yield holding.progress;
    await Promise.race([
      done.catch(() => undefined),
      new Promise((wake) => setTimeout(wake, PROGRESS_INTERVAL_MS)),
    ]);
  }
  await done;
  yield { state: 'ready' };
}
