import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { PublisherId } from '../protocols/types.ts';
import type { SwarmPeer } from '../src/swarm/peer.ts';
import type { SignedRelease } from '../src/swarm/releases.ts';
import { BackgroundWork } from './background-work.ts';
import type { VersionStore } from './store/version-store.ts';
import type { WantedVersion } from './store/wanted-versions.ts';

/** Records are kept 48 h by their holders; re-putting every hour outlives any churn. */
const REPUBLISH_INTERVAL_MS = 3_600_000;

const DHT_TIMEOUT_MS = 30_000;

/** Waits before a model's record is looked for again: it is signed a moment after the replicas are READY. */
const LEARN_DELAYS_MS = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 300_000];

export interface ReleaseKeeperComponents {
  readonly peer: SwarmPeer;
  readonly store: Pick<VersionStore, 'want' | 'wanted' | 'renew'>;
  readonly logger: Logger;
}

/**
 * Keeps the release records of the models this node holds alive while their publishers sleep: on its disk, and in the DHT,
 * which forgets what nobody puts again.
 */
export class ReleaseKeeper {
  readonly #components: ReleaseKeeperComponents;
  readonly #work: BackgroundWork;
  #timer: NodeJS.Timeout | undefined;
  #unsubscribe: (() => void) | undefined;
  #forgetTopics: (() => void) | undefined;

  constructor(components: ReleaseKeeperComponents) {
    this.#components = components;
    this.#work = new BackgroundWork((error) => {
      components.logger.warn({ err: error }, 'release record could not be kept');
    });
  }

  /** Believes again what was kept on disk, and begins to keep what is heard. */
  async start(): Promise<void> {
    const { peer, store, logger } = this.#components;
    this.#unsubscribe ??= peer.releases.onChange((release) =>
      this.#work.run(() => this.#keep(release)),
    );
    this.#timer ??= setInterval(
      () => this.#work.run(() => this.#republish()),
      REPUBLISH_INTERVAL_MS,
    );
    this.#timer.unref();
    this.#forgetTopics ??= peer.topics.keep(async () => {
      return (await store.wanted()).map(({ publisher, name }) => ({ publisher, name }));
    });
    for (const { publisher, name, release, cid } of await store.wanted()) {
      peer.follow(publisher, name);
      if (release === null) continue;
      await peer.releases.offer(release).catch((error: unknown) => {
        logger.warn({ err: error, cid }, 'kept release record is not valid any more');
      });
    }
  }

  /** Keeps a further name of a version that is held, and the record of the model that has it. */
  adopt({ publisher, name, cid }: Omit<WantedVersion, 'release'>): void {
    const { peer, store } = this.#components;
    peer.follow(publisher, name);
    this.#work.run(async () => {
      const release = peer.releases.cached(publisher, name)?.bytes ?? null;
      await store.want({ publisher, name, cid, release });
      await this.#learn(publisher, name);
    });
  }

  /** Looks for a model's record in the background until it is there. */
  learn(publisher: PublisherId, name: string): void {
    this.#work.run(() => this.#learn(publisher, name));
  }

  async stop(): Promise<void> {
    this.#unsubscribe?.();
    this.#forgetTopics?.();
    clearInterval(this.#timer);
    await this.#work.stop();
  }

  async #learn(publisher: PublisherId, name: string): Promise<void> {
    const { peer, logger } = this.#components;
    for (const delayMs of LEARN_DELAYS_MS) {
      if (peer.releases.cached(publisher, name) !== undefined) return;
      await delay(delayMs, undefined, { signal: this.#work.signal, ref: false });
      const found = await peer.releases
        .find(publisher, name, { signal: this.#dhtSignal(), fresh: true })
        .catch(() => undefined);
      if (found !== undefined) return;
    }
    logger.info({ publisher, name }, 'no release names this model yet; it is served by CID alone');
  }

  /** Writes a record to the disk for every version of its model that is held. */
  async #keep({ record, bytes }: SignedRelease): Promise<void> {
    await this.#components.store.renew(record.publisher, record.name, bytes);
  }

  /** Puts every held model's newest record into the DHT again: nobody else renews them, and holders come and go. */
  async #republish(): Promise<void> {
    const { peer, store, logger } = this.#components;
    const models = new Map<string, WantedVersion>();
    for (const wanted of await store.wanted()) {
      models.set(`${wanted.publisher}/${wanted.name}`, wanted);
    }
    for (const { publisher, name, release } of models.values()) {
      try {
        const signal = this.#dhtSignal();
        const newest = await peer.releases.find(publisher, name, { signal }).catch(() => undefined);
        const bytes = newest?.bytes ?? release;
        if (bytes !== null) await peer.releases.publish(bytes, { signal });
      } catch (error) {
        if (this.#work.signal.aborted) return;
        logger.warn(
          { err: error, publisher, name },
          'release record not put again, within the hour',
        );
      }
    }
  }

  #dhtSignal(): AbortSignal {
    return AbortSignal.any([this.#work.signal, AbortSignal.timeout(DHT_TIMEOUT_MS)]);
  }
}
