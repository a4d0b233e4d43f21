import { setTimeout as delay } from 'node:timers/promises';
import {
  ExecutionError,
  InvalidInputError,
  LimitError,
  NotFoundError,
} from '../../protocols/errors.ts';
import { checkInputs } from '../../protocols/input-check.ts';
import { MAX_BODY_BYTES } from '../../protocols/limits.ts';
import { bytesOf, type NamedTensor } from '../../protocols/tensor.ts';
import type { TensorSpec } from '../../protocols/types.ts';
import { doubledMs } from '../../src/policy/doubling.ts';
import { VersionFaults } from '../../src/policy/quarantine.ts';
import type { LoadedModel, ModelFiles, ModelState, RunOptions, RunResult } from './backend.ts';
import { type ModelLoaderInit, type StartedModel, startModel } from './model-loader.ts';
import { describeExit, isFault } from './process-exit.ts';
import { MAX_AHEAD_RUNS, RunQueue } from './run-queue.ts';
import type { IndexedTensor } from './tensor-frame.ts';

/** Milliseconds before a second restart in a row; doubles with each, to a bound. The first is immediate. */
const RESTART_DELAY_MS = 200;
const MAX_RESTART_DELAY_MS = 5_000;

/** A model in a child process that is started again when it dies. */
export class OnnxModel implements LoadedModel {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly provider: string;
  readonly ahead = MAX_AHEAD_RUNS;
  readonly #files: ModelFiles;
  readonly #init: ModelLoaderInit;
  readonly #inputIndex: ReadonlyMap<string, number>;
  readonly #outputIndex: ReadonlyMap<string, number>;
  readonly #listeners: ((state: ModelState, reason: string) => void)[] = [];
  /** Milliseconds of one run at most, whatever its caller allows. */
  readonly #maxLimitMs: number;
  /** Aborts when the model is unloaded. */
  readonly #unloading = new AbortController();
  readonly #runs: RunQueue;
  /** The life of the current process and, after it, of those that follow; settles when no further one comes. */
  readonly #life: Promise<void>;
  #state: ModelState = 'ready';
  #mappedBytes: number;
  #process: StartedModel['process'];
  /** Deaths of the process, and loads that failed, since its last answer. */
  #crashes = 0;
  /** Those of them that speak against the model. */
  readonly #faults = new VersionFaults();
  /** How the last of them came about. */
  #crash = '';

  constructor(files: ModelFiles, started: StartedModel, init: ModelLoaderInit) {
    this.#files = files;
    this.#init = init;
    this.inputs = started.report.inputs;
    this.outputs = started.report.outputs;
    this.provider = started.provider;
    this.#mappedBytes = started.prepacked?.weightBytes ?? 0;
    this.#maxLimitMs = started.report.loops.length > 0 ? init.loopLimitMs : Infinity;
    this.#inputIndex = new Map(this.inputs.map(({ name }, index) => [name, index]));
    this.#outputIndex = new Map(this.outputs.map(({ name }, index) => [name, index]));
    this.#process = started.process;
    this.#runs = new RunQueue({
      onAnswer: () => {
        this.#crashes = 0;
        this.#faults.answered();
      },
    });
    this.#runs.memoryBytes = started.report.memoryBytes;
    this.#life = this.#live();
  }

  get state(): ModelState {
    return this.#state;
  }

  get memoryBytes(): number | null {
    return this.#state === 'ready' ? this.#runs.memoryBytes : null;
  }

  get mappedBytes(): number {
    return this.#mappedBytes;
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
    const limitMs = Math.min(options.limitMs, this.#maxLimitMs);
    const { outputs, executeMs } = await this.#runs.add(tensors, wanted, { ...options, limitMs });
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
    const bytes = bytesOf(inputs);
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
      this.#crash = `process ${describeExit(exit, this.#init.maxMemoryBytes)}`;
      this.#crashes += 1;
      this.#faults.died(this.#runs.running);
      const restart = !this.#faults.reached(this.#init.maxCrashes);
      if (restart) this.#become('restarting', this.#crash);
      const details = { endedProcess: true };
      const died = new ExecutionError(`model failed: its ${this.#crash}`, { details });
      this.#runs.detach(died, isFault(exit));
      if (!restart || !(await this.#restart())) break;
      this.#become('ready', 'restarted');
    }
    if (this.#unloading.signal.aborted) this.#become('unloaded', 'unloaded');
    else this.#become('failed', `${this.#crashes} crashes in a row, the last: ${this.#crash}`);
    this.#runs.close(this.#gone());
  }

  /** Starts the process again; false when the model is unloaded or given up meanwhile. */
  async #restart(): Promise<boolean> {
    const { signal } = this.#unloading;
    while (!this.#faults.reached(this.#init.maxCrashes) && !signal.aborted) {
      try {
        await this.#backOff(signal);
        // On the provider that worked: another one would answer with other bits.
        const started = await startModel(this.#files, [this.provider], this.#init, signal);
        this.#process = started.process;
        this.#mappedBytes = started.prepacked?.weightBytes ?? 0;
        this.#runs.memoryBytes = started.report.memoryBytes;
        // Unloaded in the moment between: `unload` has killed the process before this one.
        if (signal.aborted) this.#process.kill();
        return true;
      } catch (error) {
        this.#crashes += 1;
        this.#faults.died(false);
        this.#crash = `restart failed: ${error instanceof Error ? error.message : String(error)}`;
      }
    }
    return false;
  }

  /** Waits before a restart, the longer the more often the process died in a row. */
  async #backOff(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#crashes <= 1) return;
    const waitMs = doubledMs(this.#crashes - 2, RESTART_DELAY_MS, MAX_RESTART_DELAY_MS);
    await delay(waitMs, undefined, { signal });
  }

  #become(state: ModelState, reason: string): void {
    this.#state = state;
    for (const listener of this.#listeners) listener(state, reason);
  }

  /** What a run hears that came too late. */
  #gone(): NotFoundError {
    return new NotFoundError(`this node serves the version no longer: its model is ${this.#state}`);
  }
}
