import { setTimeout as delay } from 'node:timers/promises';
import type {
  InferenceBackend,
  LoadedModel,
  LoadOptions,
  ModelFiles,
  RunOptions,
  RunResult,
} from '../../node/backend/backend.ts';
import { ExecutionError, NotFoundError } from '../../protocols/errors.ts';
import type { NamedTensor } from '../../protocols/tensor.ts';
import type { AbortOptions } from '../../protocols/types.ts';
import { WrappedModel } from './wrapped-model.ts';

/** When a run of these inputs ends that begins at `beginMs`; both on the clock of {@link epochNow}. */
export type Pace = (beginMs: number, inputs: readonly NamedTensor[]) => number;

/**
 * Milliseconds within which a run counts as one that waited for the answer before it: what that answer came too late, by the
 * timer or a busy machine, is no time of the model's.
 */
const HAND_OVER_MS = 2;

/** `Date.now()` with its fractions: the same for all processes of a machine. */
export function epochNow(): number {
  return performance.timeOrigin + performance.now();
}

/**
 * A backend whose models take as long as they are told, however fast the backend below is: it stands for hardware of many speeds
 * on a machine that has one. Runs go one after another; each is executed below at once and answered when its time has come.
 */
export class PacedBackend implements InferenceBackend {
  readonly #backend: InferenceBackend;
  readonly #pace: Pace;

  constructor(backend: InferenceBackend, pace: Pace) {
    this.#backend = backend;
    this.#pace = pace;
  }

  async providers(options?: AbortOptions): Promise<readonly string[]> {
    return this.#backend.providers(options);
  }

  async load(files: ModelFiles, options?: LoadOptions): Promise<PacedModel> {
    return new PacedModel(await this.#backend.load(files, options), this.#pace);
  }

  async stop(): Promise<void> {
    await this.#backend.stop();
  }
}

export class PacedModel extends WrappedModel {
  readonly #pace: Pace;
  readonly #gone = new AbortController();
  #freeAtMs = Number.NEGATIVE_INFINITY;
  #answeredAtMs = Number.NEGATIVE_INFINITY;

  constructor(below: LoadedModel, pace: Pace) {
    super(below);
    this.#pace = pace;
    below.onStateChange((state) => {
      if (state === 'unloaded' || state === 'failed') {
        this.#gone.abort(new NotFoundError(`its model is ${state}`));
      }
    });
  }

  async run(inputs: readonly NamedTensor[], options: RunOptions): Promise<RunResult> {
    const handedInMs = epochNow();
    const { outputs } = await this.below.run(inputs, options);
    const waited = handedInMs - Math.max(this.#freeAtMs, this.#answeredAtMs) <= HAND_OVER_MS;
    const beginMs = waited ? this.#freeAtMs : handedInMs;
    const endMs = this.#pace(beginMs, inputs);
    const { limitMs, signal } = options;
    this.#freeAtMs = Math.min(endMs, beginMs + limitMs);
    await this.#until(this.#freeAtMs, signal);
    this.#answeredAtMs = epochNow();
    if (endMs > this.#freeAtMs) {
      throw new ExecutionError(`model was stopped after ${limitMs} ms`, { details: { limitMs } });
    }
    return { outputs, executeMs: endMs - beginMs };
  }

  async #until(moment: number, signal: AbortSignal | undefined): Promise<void> {
    const ends = AbortSignal.any([this.#gone.signal, ...(signal === undefined ? [] : [signal])]);
    try {
      await delay(Math.max(0, moment - epochNow()), undefined, { signal: ends });
    } catch {
      // Only the signals end it before its time, and the one that did says why.
      ends.throwIfAborted();
    }
  }
}
