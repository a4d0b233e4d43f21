import { setTimeout as delay } from 'node:timers/promises';
import type { ModelDirectory } from './models/model-directory.ts';
import { shown } from './models/shown-name.ts';
import { failureOf } from './refusal.ts';
import type { SwarmAccess } from './swarm-access.ts';

/** Milliseconds between two looks. */
const LOOK_INTERVAL_MS = 2_000;

/** How long a look may take. */
const LOOK_TIMEOUT_MS = 5_000;

export interface ReadinessInit {
  /** Models each of which must have a replica that answers; without any, some model must. */
  readonly requireModels: readonly string[];
}

/**
 * Whether the gateway should be sent requests: it has joined, what it must serve is served by a node now, and it is not draining.
 * Never true for want of anything to check. Looked at on an interval, so that probes cost the swarm nothing.
 */
export class Readiness {
  readonly #access: SwarmAccess;
  readonly #directory: ModelDirectory;
  readonly #requireModels: readonly string[];
  readonly #ending = new AbortController();
  readonly #listeners = new Set<(ready: boolean) => void>();
  #looking: Promise<void> | undefined;
  #draining = false;
  /** Why it is not ready; undefined when it is. */
  #reason: string | undefined = 'the gateway has not joined the swarm yet';

  constructor(access: SwarmAccess, directory: ModelDirectory, { requireModels }: ReadinessInit) {
    this.#access = access;
    this.#directory = directory;
    this.#requireModels = requireModels;
  }

  get ready(): boolean {
    return this.reason === undefined;
  }

  get reason(): string | undefined {
    return this.#draining ? 'the gateway is draining' : this.#reason;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Tells each change from now on. */
  onChange(listener: (ready: boolean) => void): void {
    this.#listeners.add(listener);
  }

  start(): void {
    this.#looking ??= this.#lookOnAndOn();
  }

  /** From now on it is not ready, for good. */
  drain(): void {
    this.#change(() => {
      this.#draining = true;
    });
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#looking;
  }

  async #lookOnAndOn(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      const reason = await this.#look(signal);
      this.#change(() => {
        this.#reason = reason;
      });
      // Until it has joined nothing is asked of anybody, so it may look more often.
      const pauseMs = this.#access.joined === undefined ? 100 : LOOK_INTERVAL_MS;
      // Only the end of the gateway ends the pause early, and the loop sees that itself.
      await delay(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  async #look(ending: AbortSignal): Promise<string | undefined> {
    const client = this.#access.joined;
    if (client === undefined) return 'the gateway has not joined the swarm yet';
    const signal = AbortSignal.any([ending, AbortSignal.timeout(LOOK_TIMEOUT_MS)]);
    try {
      if (this.#requireModels.length === 0) {
        const replicas = await client.replicas({ signal });
        const served = replicas.some(({ version }) => client.servable(version.cid).length > 0);
        return served ? undefined : 'no node serves a model';
      }
      for (const name of this.#requireModels) {
        const model = await this.#directory.find(name, '', { signal });
        if (client.servable(model.cid).length === 0) return `no node serves model ${shown(name)}`;
      }
      return undefined;
    } catch (error) {
      return failureOf(error).message;
    }
  }

  #change(change: () => void): void {
    const before = this.ready;
    change();
    if (this.ready !== before) for (const listener of this.#listeners) listener(this.ready);
  }
}
