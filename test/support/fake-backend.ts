import { setTimeout as delay } from 'node:timers/promises';
import type {
  InferenceBackend,
  LoadedModel,
  LoadOptions,
  ModelFiles,
  ModelState,
  RunOptions,
  RunResult,
} from '../../node/backend/backend.ts';
import { checkModelFile } from '../../node/backend/child/model-check.ts';
import {
  ExecutionError,
  InvalidInputError,
  InvalidModelError,
  NotFoundError,
} from '../../protocols/errors.ts';
import { checkInputs } from '../../protocols/input-check.ts';
import type { NamedTensor } from '../../protocols/tensor.ts';
import type { TensorSpec } from '../../protocols/types.ts';
import { ENDLESS_TRIPS } from './echo-model.ts';
import { describeFiles } from './model-folder.ts';

export interface FakeBackendInit {
  /** What models say they run on. @default 'cuda' */
  readonly provider?: string;
  /** Milliseconds one execution takes. @default 0 */
  readonly executeMs?: number;
}

/**
 * A backend inside this process that stands for hardware the host lacks: it holds the contract of {@link InferenceBackend}
 * for echo models, whose output `<name>-out` is their input `<name>`, and for endless loops.
 */
export class FakeBackend implements InferenceBackend {
  readonly #init: Required<FakeBackendInit>;
  readonly #models = new Set<FakeModel>();
  #stopped = false;

  constructor(init: FakeBackendInit = {}) {
    this.#init = { provider: init.provider ?? 'cuda', executeMs: init.executeMs ?? 0 };
  }

  async providers(): Promise<readonly string[]> {
    return [this.#init.provider];
  }

  async load(files: ModelFiles, { signal }: LoadOptions = {}): Promise<FakeModel> {
    signal?.throwIfAborted();
    if (this.#stopped) throw new DOMException('the backend stops', 'AbortError');
    await checkModelFile(files);
    const found = await describeFiles(files.directory, files.entry);
    signal?.throwIfAborted();
    const names = (specs: readonly TensorSpec[]) =>
      specs.map(({ name, datatype }) => `${name} ${datatype}`).join();
    if (names([...files.inputs, ...files.outputs]) !== names([...found.inputs, ...found.outputs])) {
      throw new InvalidModelError('manifest declares other tensors than the model has');
    }
    const model = new FakeModel(found, this.#init);
    this.#models.add(model);
    return model;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#models].map(async (model) => model.unload()));
  }
}

export class FakeModel implements LoadedModel {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly provider: string;
  readonly memoryBytes = 64 * 1024 * 1024;
  readonly #executeMs: number;
  readonly #listeners: ((state: ModelState, reason: string) => void)[] = [];
  readonly #unloading = new AbortController();
  #state: ModelState = 'ready';
  /** Settles when the last run handed in has ended. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(files: ModelFiles, { provider, executeMs }: Required<FakeBackendInit>) {
    this.inputs = files.inputs;
    this.outputs = files.outputs;
    this.provider = provider;
    this.#executeMs = executeMs;
  }

  get state(): ModelState {
    return this.#state;
  }

  onStateChange(callback: (state: ModelState, reason: string) => void): void {
    this.#listeners.push(callback);
  }

  async run(inputs: readonly NamedTensor[], options: RunOptions): Promise<RunResult> {
    const { signal } = options;
    signal?.throwIfAborted();
    if (this.#unloading.signal.aborted) throw gone();
    checkInputs(
      this.inputs,
      inputs.map(({ name, tensor: { datatype, shape } }) => ({ name, datatype, shape })),
    );
    const wanted = this.#wanted(options.outputs ?? []);
    const turn = this.#tail.then(async () => this.#execute(inputs, wanted, options.limitMs));
    this.#tail = turn.catch(() => {
      // Its caller hears of it; the next run begins all the same.
    });
    if (signal === undefined) return turn;
    return Promise.race([
      turn,
      new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      }),
    ]);
  }

  /** Does what a kill from outside does. */
  kill(): void {
    this.#become('restarting', 'killed');
    queueMicrotask(() => {
      if (this.#state === 'restarting') this.#become('ready', 'restarted');
    });
  }

  /** Does what deaths do of which nobody knows the cause: the model is given up. */
  fail(reason: string): void {
    this.#become('failed', reason);
  }

  async unload(): Promise<void> {
    if (this.#unloading.signal.aborted) return;
    this.#unloading.abort(gone());
    await this.#tail;
    this.#become('unloaded', 'unloaded');
  }

  async #execute(
    inputs: readonly NamedTensor[],
    wanted: readonly string[],
    limitMs: number,
  ): Promise<RunResult> {
    const trips = inputs.find(({ name }) => name === 'trips')?.tensor.data[0] ?? 0;
    const endless = BigInt(trips) >= ENDLESS_TRIPS;
    await this.#pass(endless ? limitMs : this.#executeMs);
    if (endless) {
      this.kill();
      throw new ExecutionError(`model was stopped after ${limitMs} ms`, { details: { limitMs } });
    }
    const outputs = wanted.flatMap((name) => {
      const input = inputs.find((tensor) => `${tensor.name}-out` === name);
      return input === undefined ? [] : [{ name, tensor: input.tensor }];
    });
    return { outputs, executeMs: this.#executeMs };
  }

  async #pass(ms: number): Promise<void> {
    const { signal } = this.#unloading;
    signal.throwIfAborted();
    await delay(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
  }

  #wanted(names: readonly string[]): readonly string[] {
    const known = this.outputs.map(({ name }) => name);
    if (names.length === 0) return known;
    const unknown = names.find((name) => !known.includes(name));
    if (unknown !== undefined) throw new InvalidInputError(`unknown output '${unknown}'`);
    return names;
  }

  #become(state: ModelState, reason: string): void {
    this.#state = state;
    for (const listener of this.#listeners) listener(state, reason);
  }
}

function gone(): NotFoundError {
  return new NotFoundError('its model is unloaded');
}
