import { BusyError } from '../../protocols/errors.ts';
import type { VersionCid } from '../../protocols/types.ts';
import type { LoadedModel, ModelState } from '../backend/backend.ts';
import type { StoredVersion } from '../store/version-store.ts';
import type { BringOptions, Holding } from './holding.ts';
import { type MemoryLeaveComponents, quarantine } from './memory-leave.ts';
import { createQueue } from './replica-queue.ts';
import type { ReplicaSetComponents, ReplicaSetInit } from './replica-set-init.ts';
import { checkAcceptable } from './version-load.ts';
import type { VersionMemory } from './version-memory.ts';

export interface ReplicaLoaderComponents {
  readonly parts: ReplicaSetComponents;
  readonly memory: VersionMemory;
  readonly leaving: MemoryLeaveComponents;
  /** Why nothing is loaded now; undefined when it is. */
  readonly resting: () => string | undefined;
  /** Takes a version out of memory again. */
  readonly sleep: (cid: VersionCid, why: string) => Promise<void>;
  /** Aborts when the node stops. */
  readonly signal: AbortSignal;
}

/** Brings what is held onto the disk, and from there into memory. */
export class ReplicaLoader {
  readonly #components: ReplicaLoaderComponents;
  readonly #init: ReplicaSetInit;

  constructor(components: ReplicaLoaderComponents, init: ReplicaSetInit) {
    this.#components = components;
    this.#init = init;
  }

  /** The files, fetched from other holders when they are not on the disk. */
  async fetch(holding: Holding): Promise<StoredVersion> {
    const { parts } = this.#components;
    const { fetcher, store } = parts;
    const { cid } = holding.replica.origin;
    const signal = AbortSignal.any([this.#components.signal, holding.givingUp.signal]);
    const stored = await fetcher.fetch(cid, {
      askers: holding.askers,
      signal,
      accept: (manifest) =>
        checkAcceptable(parts, manifest, { signal, memoryBytes: this.#init.maxMemoryBytes }),
      onProgress: (bytes, totalBytes) => {
        holding.progress = { state: 'fetching', bytes, totalBytes };
        holding.replica.fetched(bytes, totalBytes);
      },
    });
    // What is on the disk was accepted by the settings of another day.
    parts.policy.checkManifest(stored.manifest);
    store.noteUse(cid);
    return stored;
  }

  /** READY when it resolves. */
  async load(
    holding: Holding,
    stored: StoredVersion,
    { evict, promised }: BringOptions,
  ): Promise<void> {
    const { parts, memory, resting, signal } = this.#components;
    const { changed, experience } = parts;
    const { replica } = holding;
    const { cid, name } = replica.origin;
    // Files that were on the disk are there before anybody hears that it is given up.
    holding.givingUp.signal.throwIfAborted();
    const rest = resting();
    if (rest !== undefined) throw new BusyError(`this node rests: ${rest}`, 0);
    const version = { cid, ...stored };
    holding.progress = { state: 'loading' };
    replica.loading(memory.assumedLoadMs(version));
    changed();
    const loaded = await memory.load(version, {
      signal,
      evict,
      memoryBytes: this.#init.maxMemoryBytes,
    });
    const { queue, batches } = await createQueue(
      { ...loaded, cid, manifest: stored.manifest },
      { ...this.#init, experience, signal },
    );
    const { model, lease, loadMs, note } = loaded;
    holding.lease = lease;
    holding.refused = undefined;
    model.onStateChange((state, reason) => this.#modelChanged(holding, model, state, reason));
    replica.loaded(model, queue, { loadMs, note }, promised);
    // The rest began while it was being loaded.
    const begun = resting();
    if (begun !== undefined) await this.#components.sleep(cid, begun);
    holding.progress = { state: 'ready' };
    changed();
    const { provider, memoryBytes } = model;
    const facts = { cid, name, provider, memoryBytes, loadMs, note, batches };
    this.#init.logger.info(facts, 'replica ready');
    await memory.reconcile();
  }

  #modelChanged(holding: Holding, model: LoadedModel, state: ModelState, reason: string): void {
    this.#components.parts.changed();
    if (state !== 'failed' || holding.replica.model !== model) return;
    void quarantine(holding, reason, this.#components.leaving);
  }
}
