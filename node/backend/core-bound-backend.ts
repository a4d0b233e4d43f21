import type { AbortOptions, VersionCid } from '../../protocols/types.ts';
import type { InferenceBackend, LoadedModel, LoadOptions, ModelFiles } from './backend.ts';
import type { CoreTurns } from './core-turns.ts';
import { ModelInstances } from './model-instances.ts';

/** Threads that a process loaded with these options has, of a backend that gives so many at most. */
export function threadsOf(most: number, { threads, session }: LoadOptions): number {
  return Math.min(most, threads ?? most, session?.intraOpThreads ?? most);
}

/**
 * A backend whose models on the CPU wait for their turn on the node's cores, those too that are loaded to be tried only. What runs
 * on a GPU computes there, and does not wait.
 */
export class CoreBoundBackend implements InferenceBackend {
  readonly #backend: InferenceBackend;
  readonly #turns: CoreTurns;
  readonly #threads: number;

  /** @param threads of one process at most */
  constructor(backend: InferenceBackend, turns: CoreTurns, threads: number) {
    this.#backend = backend;
    this.#turns = turns;
    this.#threads = Math.min(threads, turns.total);
  }

  async providers(options?: AbortOptions): Promise<readonly string[]> {
    return this.#backend.providers(options);
  }

  async load(files: ModelFiles, options: LoadOptions = {}): Promise<LoadedModel> {
    const threads = threadsOf(this.#threads, options);
    const model = await this.#backend.load(files, { ...options, threads });
    if (model.provider !== 'cpu') return model;
    return new ModelInstances(model, { turns: this.#turns, version: files.cid, threads });
  }

  async refuseDerived(cid: VersionCid, reason: string): Promise<boolean> {
    return (await this.#backend.refuseDerived?.(cid, reason)) ?? false;
  }

  async stop(): Promise<void> {
    await this.#backend.stop();
  }
}
