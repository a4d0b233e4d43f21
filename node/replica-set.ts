import { CID } from 'multiformats/cid';
import type { Logger } from 'pino';
import type { AnnouncedVersion } from '../protocols/capacity/index.ts';
import { ForbiddenError, InvalidRecordError, isSwarmError } from '../protocols/errors.ts';
import { decodeRelease } from '../protocols/release/index.ts';
import type { ReplicaProgress, ReplicaRequest } from '../protocols/replica/index.ts';
import type { VersionCid } from '../protocols/types.ts';
import type { SwarmPeer } from '../src/swarm/peer.ts';
import type { InferenceBackend } from './backend/backend.ts';
import { type AllowList, allows } from './node-init.ts';
import { Replica, type ReplicaOrigin } from './replica.ts';
import { fetchReplica } from './replica-fetch.ts';
import { VersionQueue } from './scheduler/version-queue.ts';
import type { VersionStore } from './store/version-store.ts';

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
  readonly backend: InferenceBackend;
  /** Called after any change that others should hear of. */
  readonly changed: () => void;
}

interface Holding {
  readonly replica: Replica;
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
   * @throws {ERR_INVALID_RECORD} when the release record is not the publisher's or does not name the version.
   */
  async *hold(
    request: ReplicaRequest,
    asker: string,
    signal: AbortSignal,
  ): AsyncGenerator<ReplicaProgress> {
    const { publisher, name, cid } = request;
    if (!allows(this.#init.allowPublishers, publisher)) {
      throw new ForbiddenError(
        `this node does not serve publisher ${publisher} (its --allow-publisher list says whom it serves)`,
      );
    }
    // Not yet the truth: the publisher moves the channel only when enough replicas are READY.
    const record = await decodeRelease(request.release);
    const named = Object.values(record.channels).some((target) => target.cid === cid);
    if (record.publisher !== publisher || record.name !== name || !named) {
      throw new InvalidRecordError(
        `release record of ${record.publisher}/${record.name} does not name version ${cid} of ${publisher}/${name}`,
      );
    }
    const holding = this.#take(
      { publisher, name, cid, sequence: record.sequence },
      request.release,
      asker,
    );
    yield* watch(holding, signal);
  }

  /** Loads again what was held before a restart; a version that fails stays on disk and is told in the log. */
  async restore(): Promise<void> {
    for (const wanted of await this.#components.store.wanted()) {
      await this.#components.peer.releases.offer(wanted.release).catch((error: unknown) => {
        this.#init.logger.warn(
          { err: error, cid: wanted.cid },
          'kept release record is not valid any more',
        );
      });
      const { publisher, name, cid, sequence, release } = wanted;
      const { done } = this.#take({ publisher, name, cid, sequence }, release, undefined);
      done.catch(() => {
        // Told in the log where it failed.
      });
    }
  }

  /** Ends every replica: what runs first, then its process. */
  async stop(): Promise<void> {
    this.#stopping.abort(new ForbiddenError('this node is stopping'));
    const holdings = [...this.#holdings.values()];
    await Promise.allSettled(holdings.map(({ done }) => done));
    await Promise.allSettled(holdings.map(({ replica }) => replica.unload()));
  }

  #take(origin: ReplicaOrigin, release: Uint8Array, asker: string | undefined): Holding {
    const known = this.#holdings.get(origin.cid);
    if (known !== undefined && known.replica.state !== 'gone') return known;
    const replica = new Replica(origin);
    const holding: Holding = {
      replica,
      progress: { state: 'fetching', bytes: 0, totalBytes: null },
      done: Promise.resolve(),
    };
    holding.done = this.#bring(holding, release, asker);
    holding.done.catch(() => {
      // Whoever waits sees the failure; the log has it in any case.
    });
    this.#holdings.set(origin.cid, holding);
    this.#components.changed();
    return holding;
  }

  async #bring(holding: Holding, release: Uint8Array, asker: string | undefined): Promise<void> {
    const { origin } = holding.replica;
    const { peer, store, backend, changed } = this.#components;
    const signal = this.#stopping.signal;
    try {
      await store.want({ ...origin, release });
      const stored = await fetchReplica({ peer, store }, origin.cid, {
        asker,
        signal,
        onProgress: (bytes, totalBytes) => {
          holding.progress = { state: 'fetching', bytes, totalBytes };
        },
      });
      holding.progress = { state: 'loading' };
      const { manifest, directory } = stored;
      const model = await backend.load(
        {
          cid: origin.cid,
          directory,
          entry: manifest.entry,
          inputs: manifest.inputs,
          outputs: manifest.outputs,
        },
        { signal },
      );
      model.onStateChange(changed);
      const queue = new VersionQueue(model, {
        maxQueued: this.#init.maxQueued,
        executionLimitMs: this.#init.executionLimitMs,
      });
      holding.replica.loaded(model, queue);
      holding.progress = { state: 'ready' };
      changed();
      this.#init.logger.info(
        { cid: origin.cid, name: origin.name, provider: model.provider },
        'replica ready',
      );
      void this.#provide(origin.cid);
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
      isSwarmError(error) && ['ERR_INVALID_MODEL', 'ERR_INVALID_RECORD'].includes(error.code);
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

  /** Puts every held release record into the DHT again: nobody else renews them, and holders come and go. */
  async republish(): Promise<void> {
    for (const wanted of await this.#components.store.wanted()) {
      const { publisher, name } = wanted;
      try {
        const signal = this.#dhtSignal();
        const newest = await this.#components.peer.releases
          .find(publisher, name, { signal })
          .catch(() => ({ bytes: wanted.release }));
        await this.#components.peer.releases.publish(newest.bytes, { signal });
      } catch (error) {
        this.#dhtFailed(wanted.cid, error);
      }
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
