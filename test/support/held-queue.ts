import { vi } from 'vitest';
import type { LoadedModel, ModelState, RunOptions, RunResult } from '../../node/backend/backend.ts';
import { type Clock, SYSTEM_CLOCK } from '../../node/scheduler/clock.ts';
import { VersionQueue, type VersionQueueInit } from '../../node/scheduler/version-queue.ts';
import type { NamedTensor } from '../../protocols/tensor.ts';

/** A run that a test ends when it likes. */
export interface HeldRun {
  readonly inputs: readonly NamedTensor[];
  readonly options: RunOptions;
  readonly resolve: (result: RunResult) => void;
  readonly reject: (reason: unknown) => void;
}

/** A model whose runs a test holds in its hand. */
export class HeldModel implements LoadedModel {
  readonly inputs = [];
  readonly outputs = [];
  readonly provider = 'cpu';
  readonly memoryBytes = null;
  state: ModelState = 'ready';
  readonly runs: HeldRun[] = [];
  #listener: (state: ModelState, reason: string) => void = () => {};

  onStateChange(callback: (state: ModelState, reason: string) => void): void {
    this.#listener = callback;
  }

  run(inputs: readonly NamedTensor[], options: RunOptions): Promise<RunResult> {
    return new Promise((resolve, reject) => {
      this.runs.push({ inputs, options, resolve, reject });
    });
  }

  async unload(): Promise<void> {
    this.become('unloaded');
  }

  become(state: ModelState): void {
    this.state = state;
    this.#listener(state, 'test');
  }

  /** Ends the run under way. */
  async answer(executeMs = 1): Promise<void> {
    this.runs.at(-1)?.resolve({ outputs: [], executeMs });
    await vi.advanceTimersByTimeAsync(0);
  }
}

/** The system's, where every request comes in a turn of its own: what it sets in motion is seen at once. */
export const TURN_EACH: Clock = { ...SYSTEM_CLOCK, soon: (callback) => callback() };

/** A queue before a model whose runs end when the test likes; each request comes in a turn of its own. */
export function heldQueue(init: Partial<VersionQueueInit> = {}) {
  const model = new HeldModel();
  const queue = new VersionQueue(model, {
    ...{ maxQueued: 2, executionLimitMs: 10_000, clock: TURN_EACH },
    ...init,
  });
  return { model, queue };
}

/** What a promise rejects with; undefined when it does not. */
export const failure = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

/** A deadline so far from now. */
export const inMs = (ms: number) => performance.now() + ms;
