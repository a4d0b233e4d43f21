import { BusyError, ExecutionError, InvalidInputError, LimitError } from '../../protocols/errors.ts';
import { checkInputs } from '../../protocols/input-check.ts';
import { MAX_BODY_BYTES } from '../../protocols/limits.ts';
import type { NamedTensor } from '../../protocols/tensor.ts';
import type { TensorSpec } from '../../protocols/types.ts';
import type { LoadedModel, ModelFiles, ModelState, RunOptions, RunResult } from './backend.ts';
import { type ModelLoaderInit, type StartedModel, startModel } from './model-loader.ts';
import { type PendingRun, RunQueue } from './run-queue.ts';
import { describeExit, isFault, type ProcessExit } from './process-exit.ts';
import type { IndexedTensor } from './tensor-frame.ts';

/** Milliseconds before a second restart in a row; doubles with each, to a bound. The first is immediate. */
const RESTART_DELAY_MS = 200;
const MAX_RESTART_DELAY_MS = 5_000;

/** A model in a child process that is started again when it dies. */
export class OnnxModel implements LoadedModel {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly provider: string;
  readonly #files: ModelFiles;
  readonly #init: ModelLoaderInit;
  readonly #inputIndex: ReadonlyMap<string, number>;
  readonly #outputIndex: ReadonlyMap<string, number>;
  readonly #listeners: ((state: ModelState, reason: string) => void)[] = [];
  /** Aborts when the model is unloaded. */
  readonly #unloading = new AbortController();
  readonly #runs: RunQueue;
  /** The life of the current process and, after it, of those that follow; settles when no further one comes. */
  readonly #life: Promise<void>;
  #state: ModelState = 'ready';
  #process: StartedModel['process'];
  /** Deaths of the process since its last answer. */
  #crashes = 0;

  constructor(files: ModelFiles, started: StartedModel, init: ModelLoaderInit) {
    this.#files = files;
    this.#init = init;
    this.inputs = started.report.inputs;
    this.outputs = started.report.outputs;
    this.provider = started.provider;
    this.#inputIndex = new Map(this.inputs.map(({ name }, index) => [name, index]));
    this.#outputIndex = new Map(this.outputs.map(({ name }, index) => [name, index]));
    this.#process = started.process;
    this.#runs = new RunQueue({ onAnswer: () => (this.#crashes = 0) });
    this.#runs.memoryBytes = started.report.memoryBytes;
    this.#life = this.#live();
  }

  get state(): ModelState {
    return this.#state;
  }

  get memoryBytes(): number | null {
    return this.#state === 'ready' ? this.#runs.memoryBytes : null;
  }

  /** Process id of the child, for diagnosis; undefined while there is none. */
  get pid(): number | undefined {
    return this.#state === 'ready' ? this.#process.pid : undefined;
  }

  onStateChange(callback: (state: ModelState, reason: string) => void): void {
    this.#listeners.push(callback);
  }

  async run(inputs: readonly NamedTensor[], options: RunOptions): Promise<RunResult> {
    options.signal?.throwIfAborted();
    if (this.#state === 'failed' || this.#state === 'unloaded') throw this.#gone();
    const tensors = this.#indexed(inputs);
    const wanted = this.#wanted(options.outputs);
    const { outputs, executeMs } = await this.#runs.add(tensors, wanted, options);
    return {
      executeMs,
      outputs: outputs.map(({ index, tensor }) => ({
        name: this.outputs[index]?.name ?? '',
        tensor,
      })),
    };
  }

  async unload(): Promise<void> {
    this.#unloading.abort();
    this.#process.kill();
    await this.#life;
  }

  #indexed(inputs: readonly NamedTensor[]): IndexedTensor[] {
    checkInputs(
      this.inputs,
      inputs.map(({ name, tensor: { datatype, shape } }) => ({ name, datatype, shape })),
    );
    const bytes = inputs.reduce((sum, { tensor }) => sum + tensor.bytes.byteLength, 0);
    if (bytes > MAX_BODY_BYTES) {
      throw new LimitError(`inputs have ${bytes} bytes, expected at most ${MAX_BODY_BYTES}`);
    }
    return inputs.map(({ name, tensor }) => ({
      index: this.#inputIndex.get(name) ?? -1,
      tensor,
    }));
  }

  #wanted(names: readonly string[] | undefined): number[] {
    if (names === undefined || names.length === 0) return this.outputs.map((_, index) => index);
    const indices = names.map((name) => {
      const index = this.#outputIndex.get(name);
      if (index !== undefined) return index;
      const known = this.outputs.slice(0, 20).map((output) => `'${output.name}'`);
      throw new InvalidInputError(
        `unknown output '${name.slice(0, 80)}', the model has outputs ${known.join(', ')}`,
      );
    });
    return [...new Set(indices)];
  }

  async #live(): Promise<void> {
    for (;;) {
      this.#runs.attach(this.#process);
      const exit = await this.#process.exited;
      if (this.#unloading.signal.aborted) break;
      const reason = `process ${describeExit(exit, this.#init.maxMemoryBytes)}`;
      this.#crashes += 1;
      const restart = this.#crashes <= this.#init.maxCrashes;
      if (restart) this.#become('restarting', reason);
      this.#runs.detach(new ExecutionError(`model failed: its ${reason}`), isFault(exit));
      if (!restart || !(await this.#restart())) break;
      this.#become('ready', 'restarted');
    }
    if (this.#unloading.signal.aborted) this.#become('unloaded', 'unloaded');
    else this.#become('failed', `${this.#crashes} crashes in a row`);
    this.#runs.close(this.#gone());
  }

  /** Starts the process again; false when the model is unloaded or given up meanwhile. */
  async #restart(): Promise<boolean> {
    const { signal } = this.#unloading;
    while (this.#crashes <= this.#init.maxCrashes && !signal.aborted) {
      try {
        await this.#backOff(signal);
        // On the provider that worked: another one would answer with other bits.
        const started = await startModel(this.#files, [this.provider], this.#init, signal);
        this.#process = started.process;
        this.#runs.memoryBytes = started.report.memoryBytes;
        return true;
      } catch {
        // A load that fails counts like a crash; the next state change tells the reason.
        this.#crashes += 1;
      }
    }
    return false;
  }
}
