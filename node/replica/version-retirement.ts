import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ReleaseRecord } from '../../protocols/release/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { isRetirable, lookIntervalMs } from '../../src/policy/retirement.ts';
import type { SignedRelease } from '../../src/swarm/releases.ts';
import { BackgroundWork } from '../background-work.ts';
import type { NodePolicy } from '../node-policy.ts';
import type { ReplicaSet } from './replica-set.ts';
import type { VersionKnowledge } from '../store/store-upkeep.ts';
import { pointsAt } from './version-knowledge.ts';

/** Milliseconds between two looks at what is loaded, at most. */
const MAX_LOOK_INTERVAL_MS = 60_000;

export interface VersionRetirementComponents {
  readonly replicas: Pick<ReplicaSet, 'replicas' | 'retire' | 'revive'>;
  readonly knowledge: Pick<VersionKnowledge, 'current'>;
  /** Whether its operator wants it in memory, whatever else. */
  readonly isPinned: (cid: VersionCid) => boolean;
  readonly releases: {
    /** Calls back for each record that is news; returns what ends it. */
    onChange(listener: (release: SignedRelease) => void): () => void;
  };
  /** Milliseconds without a request. */
  readonly idleMs: number;
  readonly logger: Pick<Logger, 'warn'>;
}

/**
 * Takes versions out of memory that no channel points at and nobody asks for, and loads them again as soon as one does: before the
 * first request, after a rollback. On the disk they can then be kept as their difference from what took their place.
 */
export class VersionRetirement {
  readonly #components: VersionRetirementComponents;
  readonly #work: BackgroundWork;
  #unsubscribe: (() => void) | undefined;

  constructor(components: VersionRetirementComponents) {
    this.#components = components;
    this.#work = new BackgroundWork((error) => {
      components.logger.warn({ err: error }, 'released version could not be loaded again');
    });
  }

  start(): void {
    if (this.#unsubscribe !== undefined) return;
    const { releases } = this.#components;
    this.#unsubscribe = releases.onChange(({ record }) => {
      this.#work.run(() => this.#revive(record));
    });
    this.#work.run(() => this.#keepLooking());
  }

  async stop(): Promise<void> {
    this.#unsubscribe?.();
    await this.#work.stop();
  }

  /** Takes out of memory what has been idle for long enough; resolves when that memory is back. */
  async look(nowMs = performance.now()): Promise<void> {
    const { replicas, knowledge, isPinned, idleMs: retireAfterMs } = this.#components;
    for (const replica of replicas.replicas) {
      if (replica.state !== 'ready' || isPinned(replica.origin.cid)) continue;
      const { cid } = replica.origin;
      const current = await knowledge.current(cid);
      // Read after the wait: a request may have come meanwhile.
      const { busy, lastUsedMs } = replica.standing;
      const idleMs = nowMs - lastUsedMs;
      if (isRetirable({ current, busy, idleMs }, retireAfterMs)) await replicas.retire(cid);
    }
  }

  async #keepLooking(): Promise<void> {
    const { signal } = this.#work;
    const intervalMs = lookIntervalMs(this.#components.idleMs, MAX_LOOK_INTERVAL_MS);
    while (!signal.aborted) {
      await delay(intervalMs, undefined, { signal, ref: false });
      try {
        await this.look();
      } catch (error) {
        this.#components.logger.warn({ err: error }, 'superseded versions stay loaded for now');
      }
    }
  }

  /** Under whichever of its names: a version has several where several have published the same bytes. */
  async #revive({ channels }: ReleaseRecord): Promise<void> {
    const { replicas, knowledge } = this.#components;
    for (const { origin, state } of replicas.replicas) {
      if (state !== 'cold' || !pointsAt(channels, origin.cid)) continue;
      if (await knowledge.current(origin.cid)) replicas.revive(origin.cid);
    }
  }
}

/** Whether a version that was held before a restart is left on the disk alone. */
export async function isSuperseded(
  cid: VersionCid,
  {
    policy,
    knowledge,
    store,
  }: {
    readonly policy: Pick<NodePolicy, 'isPinned'>;
    readonly knowledge: Pick<VersionKnowledge, 'current'>;
    readonly store: { manifest(cid: VersionCid): Promise<unknown> };
  },
): Promise<boolean> {
  if (policy.isPinned(cid)) return false;
  // What is not whole is fetched, as it was before.
  return !(await knowledge.current(cid)) && (await store.manifest(cid)) !== undefined;
}
