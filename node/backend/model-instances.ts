import { NotFoundError } from '../../protocols/errors.ts';
import type { NamedTensor } from '../../protocols/tensor.ts';
import type { TensorSpec } from '../../protocols/types.ts';
import type { LoadedModel, ModelState, RunOptions, RunResult } from './backend.ts';
import type { CoreTurn, CoreTurns } from './core-turns.ts';

/** Where the cores come from that runs of a version compute on. */
export interface InstanceCores {
  readonly turns: CoreTurns;
  /** What shares are counted by, such as the version's CID. */
  readonly version: string;
  /** Cores that one run takes: the threads of a process. */
  readonly threads: number;
}

/** One process that holds the model, and how much is in it. */
interface Instance {
  readonly model: LoadedModel;
  /** Runs that were given to it and are not over, those that wait for cores included. */
  runs: number;
  /** Those of them that the process has. */
  inside: number;
  /** At least one while `inside` is not 0. */
  readonly turns: CoreTurn[];
  /** Settles when the last of the runs that wait to come in is inside, or will not come; undefined when none waits. */
  entering: Promise<unknown> | undefined;
}

/**
 * One version in several processes, one model to whoever asks it: a run goes to the process that has least to do, and begins when
 * the node has cores for it. Owns the models it is given.
 *
 * It is `ready` while any of them is. When one is given up all are: what breaks one process again and again is the version's.
 */
export class ModelInstances implements LoadedModel {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly provider: string;
  readonly #cores: InstanceCores;
  readonly #instances: Instance[] = [];
  readonly #listeners: ((state: ModelState, reason: string) => void)[] = [];
  #ended: 'failed' | 'unloaded' | undefined;

  constructor(first: LoadedModel, cores: InstanceCores) {
    this.inputs = first.inputs;
    this.outputs = first.outputs;
    this.provider = first.provider;
    this.#cores = cores;
    this.add([first]);
  }

  /** Processes there are, those that are being restarted included. */
  get size(): number {
    return this.#instances.length;
  }

  /** Threads of each process. */
  get threads(): number {
    return this.#cores.threads;
  }

  get parallel(): number {
    let runs = 0;
    for (const { model } of this.#instances) if (isReady(model)) runs += model.parallel ?? 1;
    return Math.max(1, runs);
  }

  get ahead(): number {
    let runs = 0;
    for (const { model } of this.#instances) if (isReady(model)) runs += model.ahead ?? 0;
    return runs;
  }

  get state(): ModelState {
    if (this.#ended !== undefined) return this.#ended;
    return this.#instances.some(({ model }) => isReady(model)) ? 'ready' : 'restarting';
  }

  get memoryBytes(): number | null {
    const known = this.#instances.flatMap(({ model }) => model.memoryBytes ?? []);
    return known.length === 0 ? null : known.reduce((sum, bytes) => sum + bytes, 0);
  }

  get mappedBytes(): number {
    return this.#instances[0]?.model.mappedBytes ?? 0;
  }

  /** That of the first process. */
  get pid(): number | undefined {
    return this.#instances[0]?.model.pid;
  }

  onStateChange(callback: (state: ModelState, reason: string) => void): void {
    this.#listeners.push(callback);
  }

  /** Takes in further models of the same version, loaded alike. */
  add(models: readonly LoadedModel[]): void {
    for (const model of models) {
      this.#instances.push({ model, runs: 0, inside: 0, turns: [], entering: undefined });
      model.onStateChange((state, reason) => this.#changed(state, reason));
    }
  }

  /** Unloads the last ones until so many are left, at least one. None of them may be running anything. */
  async shrink(size: number): Promise<void> {
    const leaving = this.#instances.splice(Math.max(1, size));
    await Promise.all(leaving.map(async ({ model }) => model.unload()));
  }

  async run(inputs: readonly NamedTensor[], options: RunOptions): Promise<RunResult> {
    const { signal, ...withoutSignal } = options;
    signal?.throwIfAborted();
    if (this.#ended !== undefined) throw this.#gone(this.#ended);
    const instance = this.#leastBusy();
    instance.runs += 1;
    if (!this.#entersAtOnce(instance)) {
      try {
        await this.#enterInTurn(instance, signal);
      } catch (error) {
        instance.runs -= 1;
        throw error;
      }
    }
    // Without the signal: an abandoned run has its cores until the process is done with it.
    const running = instance.model.run(inputs, withoutSignal).finally(() => {
      leave(instance);
    });
    return signal === undefined ? running : abandonable(running, signal);
  }

  async unload(): Promise<void> {
    const first = this.#ended !== 'unloaded';
    this.#ended = 'unloaded';
    await Promise.all(this.#instances.map(async ({ model }) => model.unload()));
    if (first) this.#tell('unloaded');
  }

  /** Of those that are ready, if any is, the one that was given fewest runs. */
  #leastBusy(): Instance {
    let least: Instance | undefined;
    for (const instance of this.#instances) {
      if (least === undefined || isBefore(instance, least)) least = instance;
    }
    if (least === undefined) throw this.#gone('unloaded');
    return least;
  }

  /**
   * Lets a run in that need not wait for anybody; false when it must. Most need not, and a promise for each that waits for the one
   * before it is not only slower: collections of new objects then keep a tenth of all there are.
   */
  #entersAtOnce(instance: Instance): boolean {
    if (instance.entering !== undefined) return false;
    const { turns, version, threads } = this.#cores;
    if (turns.contended) return false;
    // A process that is at work already has its cores: a further run rides along.
    if (instance.inside === 0) {
      const turn = turns.takeAtOnce(version, threads);
      if (turn === undefined) return false;
      instance.turns.push(turn);
    }
    instance.inside += 1;
    return true;
  }

  /** Lets a run in after those that came before it, once there are cores for it. */
  async #enterInTurn(instance: Instance, signal: AbortSignal | undefined): Promise<void> {
    const entering = this.#enter(instance, instance.entering, signal);
    // Its caller hears how it fails; whoever is next comes in all the same.
    const over = (): void => {
      if (instance.entering === settled) instance.entering = undefined;
    };
    const settled: Promise<void> = entering.then(over, over);
    instance.entering = settled;
    return entering;
  }

  async #enter(
    instance: Instance,
    before: Promise<unknown> | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { turns, version, threads } = this.#cores;
    await before;
    if (instance.inside === 0 || turns.contended) {
      instance.turns.push(await turns.take(version, threads, signal));
    }
    instance.inside += 1;
  }

  #changed(state: ModelState, reason: string): void {
    if (this.#ended !== undefined) return;
    if (state === 'failed') {
      this.#ended = 'failed';
      for (const { model } of this.#instances) void model.unload();
    }
    // Also when others serve on: with what is left fewer run at once.
    this.#tell(reason);
  }

  #tell(reason: string): void {
    for (const listener of this.#listeners) listener(this.state, reason);
  }

  #gone(state: ModelState): NotFoundError {
    return new NotFoundError(`this node serves the version no longer: its model is ${state}`);
  }
}

function isReady({ state }: LoadedModel): boolean {
  return state === 'ready';
}

function isBefore(a: Instance, b: Instance): boolean {
  return isReady(a.model) === isReady(b.model) ? a.runs < b.runs : isReady(a.model);
}

function leave(instance: Instance): void {
  instance.runs -= 1;
  instance.inside -= 1;
  while (instance.turns.length > instance.inside) instance.turns.pop()?.release();
}

/** The run's end, or the signal's when that comes first; the run goes on all the same. */
async function abandonable<T>(running: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    running.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
