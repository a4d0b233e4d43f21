import {
  BusyError,
  DeadlineError,
  ExecutionError,
  isSwarmError,
  NotFoundError,
} from '../../protocols/errors.ts';
import type { NamedTensor } from '../../protocols/tensor.ts';
import type { AbortOptions, LoadReport } from '../../protocols/types.ts';
import { decideAdmission, type QueueView } from '../../src/policy/admission.ts';
import { ExecutionTimes, executionLimitMs } from '../../src/policy/execution-limit.ts';
import type { LoadedModel, RunResult } from '../backend/backend.ts';
import { type WaitingRequest, WaitingLine } from './waiting-line.ts';

/** Executions at once: one session runs one request after another, whoever asks. */
const SLOTS = 1;

export interface VersionQueueInit {
  /** Requests that may wait, besides the one that runs. */
  readonly maxQueued: number;
  /** Milliseconds one execution may take until enough were measured, and the most it may ever take. */
  readonly executionLimitMs: number;
}

export interface SubmitOptions extends AbortOptions {
  /** When the caller gives up, on the clock of `performance.now()`; undefined for never. */
  readonly deadlineAtMs?: number | undefined;
  /** Higher ones run first; those of one priority in the order they came. @default 0 */
  readonly priority?: number | undefined;
  /** Names of the outputs wanted; undefined or empty for all. */
  readonly outputs?: readonly string[] | undefined;
}

/** An answer and where its time went. */
export interface QueuedResult {
  readonly outputs: readonly NamedTensor[];
  /** Milliseconds from `submit` to the begin of the execution. */
  readonly queueMs: number;
  /** Milliseconds inside the model. */
  readonly executeMs: number;
}

/**
 * The line of requests before one loaded version.
 *
 * A request leaves it by its answer, by its deadline, or by its signal. The last two take a waiting request out and abandon
 * the result of a running one: only the node's own execution limit ends an execution, by killing its process.
 */
export class VersionQueue {
  readonly #model: LoadedModel;
  readonly #init: VersionQueueInit;
  readonly #line = new WaitingLine();
  readonly #times = new ExecutionTimes();
  /** When the execution under way began; undefined when none is. An abandoned one still counts: it holds the process. */
  #runningSinceMs: number | undefined;
  #draining = false;
  readonly #drained: (() => void)[] = [];

  constructor(model: LoadedModel, init: VersionQueueInit) {
    this.#model = model;
    this.#init = init;
    model.onStateChange(() => this.#advance());
  }

  /**
   * Checks that a request of this deadline would be taken now; it takes no place.
   *
   * @throws {ERR_BUSY} when the queue is full or too long for the deadline; `retryAfterMs` says when to come back.
   */
  admit(deadlineMs: number): void {
    const queue = this.#view();
    if (this.#draining) throw new BusyError('version is being unloaded', 1_000);
    const decision = decideAdmission(queue, deadlineMs);
    if (decision.admitted) return;
    const { reason, waitMs, retryAfterMs } = decision;
    const message =
      reason === 'full'
        ? `queue holds ${queue.queued} requests, expected fewer than ${queue.maxQueued}`
        : `wait would be ${Math.round(waitMs)} ms, expected at most the deadline of ${Math.round(deadlineMs)} ms`;
    throw new BusyError(message, retryAfterMs);
  }

  /**
   * Executes when its turn has come. `inputs` must not be written to until the promise settles.
   *
   * @throws {ERR_BUSY} when the queue is full.
   * @throws {ERR_DEADLINE} when `deadlineAtMs` passes: phase `queue` while it waits, `execute` while it runs.
   * @throws {ERR_INVALID_INPUT | ERR_EXECUTION | ERR_LIMIT} as {@link LoadedModel.run}.
   */
  async submit(inputs: readonly NamedTensor[], options: SubmitOptions = {}): Promise<QueuedResult> {
    options.signal?.throwIfAborted();
    const submittedAtMs = performance.now();
    const { deadlineAtMs = Number.POSITIVE_INFINITY, priority = 0 } = options;
    if (deadlineAtMs <= submittedAtMs) throw lateError('queue');
    // A body takes its time after the header was admitted: others may have filled the queue since.
    this.admit(Number.POSITIVE_INFINITY);
    return new Promise((resolve, reject) => {
      this.#line.add({
        inputs,
        outputs: options.outputs,
        priority,
        submittedAtMs,
        deadlineAtMs,
        signal: options.signal,
        onExpired: (phase) => lateError(phase),
        resolve,
        reject,
      });
      this.#advance();
    });
  }

  /** What a caller elsewhere needs to know of this queue. */
  load(): LoadReport {
    const { inFlight, queued, slots, serviceMs } = this.#view();
    return { inFlight, queued, slots, serviceMs };
  }

  /** Takes no more and resolves when all that was taken is done. Idempotent. */
  async drain(): Promise<void> {
    this.#draining = true;
    if (this.#idle()) return;
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  /** Milliseconds that the next execution may take. */
  get limitMs(): number {
    return executionLimitMs(this.#times, this.#init.executionLimitMs);
  }

  #view(): QueueView {
    const since = this.#runningSinceMs;
    return {
      queued: this.#line.length,
      maxQueued: this.#init.maxQueued,
      inFlight: since === undefined ? 0 : 1,
      slots: SLOTS,
      serviceMs: this.#times.meanMs,
      runningMs: since === undefined ? 0 : performance.now() - since,
    };
  }

  #idle(): boolean {
    return this.#runningSinceMs === undefined && this.#line.length === 0;
  }

  /** Starts the next execution when the model is free, and settles what can not run any more. */
  #advance(): void {
    const { state } = this.#model;
    if (state === 'failed' || state === 'unloaded') {
      for (let next = this.#line.take(); next !== undefined; next = this.#line.take()) {
        next.reject(
          new NotFoundError(`this node serves the version no longer: its model is ${state}`),
        );
      }
    } else if (state === 'ready' && this.#runningSinceMs === undefined) {
      const next = this.#line.take();
      if (next !== undefined) void this.#execute(next);
    }
    if (this.#idle()) for (const resolve of this.#drained.splice(0)) resolve();
  }

  async #execute(request: WaitingRequest): Promise<void> {
    const startedAtMs = performance.now();
    this.#runningSinceMs = startedAtMs;
    const limitMs = this.limitMs;
    try {
      // Without the caller's signal: this queue must know when the process is free again.
      const result: RunResult = await this.#model.run(request.inputs, {
        outputs: request.outputs,
        limitMs,
      });
      this.#times.record(performance.now() - startedAtMs);
      const queueMs = startedAtMs - request.submittedAtMs;
      request.resolve({ outputs: result.outputs, executeMs: result.executeMs, queueMs });
    } catch (error) {
      // A model whose honest inputs outgrew its limit gets a larger one this way, up to the node's.
      if (wasStopped(error)) this.#times.record(limitMs);
      request.reject(
        isSwarmError(error) ? error : new ExecutionError('model failed', { cause: error }),
      );
    } finally {
      this.#runningSinceMs = undefined;
      this.#advance();
    }
  }
}

function lateError(phase: 'queue' | 'execute'): DeadlineError {
  return new DeadlineError(
    phase === 'queue'
      ? 'deadline passed while the request waited in the queue'
      : 'deadline passed while the model ran',
    phase,
  );
}

/** True when the execution was ended by its limit. */
function wasStopped(error: unknown): boolean {
  return isSwarmError(error) && typeof error.details['limitMs'] === 'number';
}
