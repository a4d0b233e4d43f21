import {
  BusyError,
  DeadlineError,
  ExecutionError,
  isSwarmError,
  NotFoundError,
} from '../../protocols/errors.ts';
import type { NamedTensor } from '../../protocols/tensor.ts';
import type { AbortOptions, LoadReport } from '../../protocols/types.ts';
import {
  decideAdmission,
  DEFAULT_MAX_QUEUED_BYTES,
  describeRefusal,
  estimateWaitMs,
} from '../../src/policy/admission.ts';
import { batchFormOf } from '../../src/policy/batch-form.ts';
import { ExecutionTimes, executionLimitMs } from '../../src/policy/execution-limit.ts';
import { type RunTiming, ServiceTime } from '../../src/policy/service-time.ts';
import type { LoadedModel, RunResult } from '../backend/backend.ts';
import { joinTensors, splitTensors } from './batch-tensors.ts';
import { DeadlyInputs } from './deadly-inputs.ts';
import { bytesOf, type QueuedResult, type WaitingRequest, WaitingLine } from './waiting-line.ts';

/** How requests of a version may run together. */
export interface Batching {
  /** The dimension of every input and output that counts rows. */
  readonly axis: number;
  /** Rows that may run at once; 1 for no batches. */
  readonly maxRows: number;
  /** Milliseconds that a request may be held back for others to join it, while the model is free. */
  readonly maxDelayMs: number;
}

/** Milliseconds without a request after which the times of the last runs are forgotten. */
const FORGET_MS = 10_000;

export const NO_BATCHING: Batching = { axis: 0, maxRows: 1, maxDelayMs: 0 };

export interface VersionQueueInit {
  /** Requests that may wait, besides those that run. */
  readonly maxQueued: number;
  /** Bytes of inputs that may wait. @default DEFAULT_MAX_QUEUED_BYTES */
  readonly maxQueuedBytes?: number | undefined;
  /** Milliseconds one execution may take until enough were measured, and the most it may ever take. */
  readonly executionLimitMs: number;
  /** @default no batches */
  readonly batching?: Batching | undefined;
  /** Runs of the model that were measured before, at its best. @default [] */
  readonly timings?: readonly RunTiming[] | undefined;
  /** Inputs that are known to end the process; grows by those that do. @default none */
  readonly deadly?: DeadlyInputs | undefined;
}

export interface SubmitOptions extends AbortOptions {
  /** Who asks: callers of one priority get equal shares. @default one caller of all who are not named, who may fill the queue */
  readonly caller?: string | undefined;
  /** When the caller gives up, on the clock of `performance.now()`; undefined for never. */
  readonly deadlineAtMs?: number | undefined;
  /** Higher ones run first. @default 0 */
  readonly priority?: number | undefined;
  /** Names of the outputs wanted; undefined or empty for all. */
  readonly outputs?: readonly string[] | undefined;
}

/** An execution under way. An abandoned one still counts: it holds the process. */
interface Running {
  readonly sinceMs: number;
  readonly expectedMs: number | null;
  readonly requests: number;
}

/**
 * The line of requests before one loaded version, and the batches they run in.
 *
 * A request leaves it by its answer, by its deadline, or by its signal. The last two take a waiting request out and abandon
 * the result of a running one: only the node's own execution limit ends an execution, by killing its process. Of a batch that
 * fails each request is tried once more alone, so that what one of them brought about is its own.
 */
export class VersionQueue {
  readonly #model: LoadedModel;
  readonly #init: VersionQueueInit;
  readonly #line = new WaitingLine();
  readonly #times = new ExecutionTimes();
  readonly #service: ServiceTime;
  readonly #deadly: DeadlyInputs;
  #batching: Batching;
  /** Elements of one row, of the last requests that ran. */
  #rowElements = 0;
  #running: Running | undefined;
  #lastRunAtMs = performance.now();
  /** Since when a request is held back for others to join it. */
  #heldSinceMs: number | undefined;
  #holding: NodeJS.Timeout | undefined;
  #draining = false;
  readonly #drained: (() => void)[] = [];

  constructor(model: LoadedModel, init: VersionQueueInit) {
    this.#model = model;
    this.#init = init;
    this.#batching = init.batching ?? NO_BATCHING;
    this.#deadly = init.deadly ?? new DeadlyInputs();
    const { timings = [] } = init;
    this.#service = new ServiceTime(timings);
    // The smallest that was tried is one row.
    const [first] = timings.toSorted((a, b) => a.elements - b.elements);
    this.#rowElements = first?.elements ?? 0;
    model.onStateChange(() => this.#advance());
  }

  /**
   * Checks that a request of this deadline would be taken now; it takes no place.
   *
   * @param elements of its inputs together, by which its time is estimated
   * @param bytes of its inputs together
   * @param caller who may not have all of the queue; undefined for one who may
   * @throws {ERR_BUSY} when the queue is full, in requests or in bytes, or of this caller's, or too long for the deadline;
   *   `retryAfterMs` says when to come back, `details` have the numbers.
   */
  admit(deadlineMs: number, elements = 0, bytes = 0, caller?: string): void {
    if (this.#draining) throw new BusyError('version is being unloaded', 1_000);
    const { maxQueued, maxQueuedBytes = DEFAULT_MAX_QUEUED_BYTES } = this.#init;
    const { length: queued, bytes: queuedBytes } = this.#line;
    const serviceMs = this.#service.estimateMs(elements);
    const waitMs = this.#waitMs();
    const own = this.#line.of(caller);
    const queue = { queued, maxQueued, queuedBytes, maxQueuedBytes, waitMs, serviceMs, ...own };
    const request = { deadlineMs, bytes };
    const decision = decideAdmission(queue, request);
    if (decision.admitted) return;
    const { message, details } = describeRefusal(queue, request, decision.reason);
    throw new BusyError(message, decision.retryAfterMs, { details });
  }

  /**
   * Executes when its turn has come. `inputs` must not be written to until the promise settles.
   *
   * @throws {ERR_BUSY} when the queue is full.
   * @throws {ERR_DEADLINE} when `deadlineAtMs` passes: phase `queue` while it waits, `execute` while it runs.
   * @throws {ERR_INVALID_INPUT | ERR_EXECUTION | ERR_LIMIT} as {@link LoadedModel.run}; the first also for an input that has ended
   *   the model's process twice.
   */
  async submit(inputs: readonly NamedTensor[], options: SubmitOptions = {}): Promise<QueuedResult> {
    options.signal?.throwIfAborted();
    const submittedAtMs = performance.now();
    const { deadlineAtMs = Infinity, priority = 0, outputs = [], signal, caller } = options;
    if (deadlineAtMs <= submittedAtMs) throw lateError('queue');
    this.#deadly.check(inputs);
    // A body takes its time after the header was admitted: others may have filled the queue since.
    this.admit(Infinity, 0, bytesOf(inputs), caller);
    const forms = inputs.map(({ name, tensor: { datatype, shape } }) => ({
      name,
      datatype,
      shape,
    }));
    return new Promise((resolve, reject) => {
      this.#line.add({
        inputs,
        outputs,
        caller: caller ?? '',
        priority,
        cost: Math.max(1, elementsOf(inputs)),
        form: batchFormOf(forms, outputs, this.#batching.axis),
        submittedAtMs,
        deadlineAtMs,
        signal,
        onExpired: (phase) => lateError(phase),
        resolve,
        reject,
      });
      this.#advance();
    });
  }

  /** What a caller elsewhere needs to know of this queue. */
  load(): LoadReport {
    // Who was slow once, being cold or disturbed, is asked no more, and would be slow for ever.
    if (this.#idle() && performance.now() - this.#lastRunAtMs > FORGET_MS) this.#service.reset();
    return {
      inFlight: this.#running?.requests ?? 0,
      queued: this.#line.length,
      slots: this.#parallelism(),
      serviceMs: this.#service.estimateMs(this.#rowElements),
    };
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

  #waitMs(): number {
    const running = this.#running;
    const batches = Math.ceil(this.#line.rows / this.#batching.maxRows);
    return estimateWaitMs({
      runningExpectedMs: running?.expectedMs ?? null,
      runningMs: running === undefined ? 0 : performance.now() - running.sinceMs,
      queuedMs: this.#line.length === 0 ? 0 : this.#service.estimateMs(this.#line.cost, batches),
    });
  }

  /** Requests of one row that a full batch gets done in the time that one takes alone. */
  #parallelism(): number {
    const { maxRows } = this.#batching;
    const aloneMs = this.#service.estimateMs(this.#rowElements) ?? 0;
    const togetherMs = this.#service.estimateMs(this.#rowElements * maxRows) ?? 0;
    if (maxRows === 1 || aloneMs === 0 || togetherMs === 0) return 1;
    return Math.max(1, Math.min(maxRows, Math.round((maxRows * aloneMs) / togetherMs)));
  }

  #idle(): boolean {
    return this.#running === undefined && this.#line.length === 0;
  }

  /** Starts the next execution when the model is free, and settles what can not run any more. */
  #advance(): void {
    const { state } = this.#model;
    if (state === 'failed' || state === 'unloaded') {
      for (let next = this.#line.take(); next !== undefined; next = this.#line.take()) {
        next.reject(this.#gone());
      }
    } else if (state === 'ready' && this.#running === undefined && !this.#holdBack()) {
      const first = this.#next();
      if (first !== undefined) void this.#execute(this.#joined(first));
    }
    if (this.#idle()) for (const resolve of this.#drained.splice(0)) resolve();
  }

  /** True while the manifest's delay lets those that wait be joined by others. */
  #holdBack(): boolean {
    const { maxDelayMs, maxRows } = this.#batching;
    clearTimeout(this.#holding);
    if (maxDelayMs === 0 || this.#line.length === 0 || this.#line.rows >= maxRows) return false;
    const nowMs = performance.now();
    this.#heldSinceMs ??= nowMs;
    const restMs = this.#heldSinceMs + maxDelayMs - nowMs;
    if (restMs <= 0 || this.#draining) return false;
    this.#holding = setTimeout(() => this.#advance(), restMs);
    return true;
  }

  /** The request whose turn it is; while others wait that can be done in time, one that cannot makes way for them. */
  #next(): WaitingRequest | undefined {
    this.#heldSinceMs = undefined;
    for (;;) {
      const next = this.#line.take();
      if (next === undefined || this.#line.length === 0) return next;
      const doneAtMs = performance.now() + (this.#service.estimateMs(next.cost) ?? 0);
      if (doneAtMs <= next.deadlineAtMs) return next;
      next.reject(lateError('queue'));
    }
  }

  /** A request with all that may run with it, as many as fit and are done in time together. */
  #joined(first: WaitingRequest): readonly WaitingRequest[] {
    const { form } = first;
    if (form === undefined) return [first];
    const batch = [first];
    const nowMs = performance.now();
    let restRows = this.#batching.maxRows - form.rows;
    let cost = first.cost;
    // One that is late already has nothing to lose by the others.
    let untilMs = first.deadlineAtMs;
    if (nowMs + (this.#service.estimateMs(cost) ?? 0) > untilMs) untilMs = Number.POSITIVE_INFINITY;
    const fits = (other: WaitingRequest): boolean =>
      other.form?.key === form.key &&
      other.form.rows <= restRows &&
      nowMs + (this.#service.estimateMs(cost + other.cost) ?? 0) <=
        Math.min(untilMs, other.deadlineAtMs);
    while (restRows > 0) {
      const next = this.#line.takeAlong(fits);
      if (next === undefined) break;
      batch.push(next);
      restRows -= next.form?.rows ?? 0;
      cost += next.cost;
      untilMs = Math.min(untilMs, next.deadlineAtMs);
    }
    return batch;
  }

  async #execute(batch: readonly WaitingRequest[]): Promise<void> {
    try {
      const [first] = batch;
      if (first !== undefined && batch.length === 1) await this.#runAlone(first);
      else await this.#runBatch(batch);
    } finally {
      this.#running = undefined;
      this.#lastRunAtMs = performance.now();
      this.#advance();
    }
  }

  async #runBatch(batch: readonly WaitingRequest[]): Promise<void> {
    const { axis } = this.#batching;
    const rows = batch.map(({ form }) => form?.rows ?? 0);
    const startedAtMs = performance.now();
    try {
      const inputs = joinTensors(
        batch.map((request) => request.inputs),
        axis,
      );
      const { outputs, executeMs } = await this.#run(inputs, batch);
      const split = splitTensors(outputs, rows, axis);
      if (split !== undefined) {
        for (const [index, request] of batch.entries()) {
          const queueMs = startedAtMs - request.submittedAtMs;
          request.resolve({ outputs: split[index] ?? [], queueMs, executeMs });
        }
        return;
      }
      // Rows of the inputs that are no rows of an output: nobody's answer could be told from another's.
      this.#batching = NO_BATCHING;
    } catch (error) {
      if (!isSwarmError(error) || error.code === 'ERR_NOT_FOUND') {
        for (const request of batch) request.reject(asExecutionError(error));
        return;
      }
    }
    for (const request of batch) if (!request.isSettled()) await this.#runAlone(request);
  }

  async #runAlone(request: WaitingRequest): Promise<void> {
    const startedAtMs = performance.now();
    try {
      const { outputs, executeMs } = await this.#run(request.inputs, [request]);
      request.resolve({ outputs, executeMs, queueMs: startedAtMs - request.submittedAtMs });
    } catch (error) {
      if (endedProcess(error)) this.#deadly.add(request.inputs);
      request.reject(asExecutionError(error));
    }
  }

  /** Without the callers' signals: this queue must know when the process is free again. */
  async #run(inputs: readonly NamedTensor[], batch: readonly WaitingRequest[]): Promise<RunResult> {
    const elements = elementsOf(inputs);
    const expectedMs = this.#service.estimateMs(elements);
    const limitMs = executionLimitMs(this.#times, this.#init.executionLimitMs, expectedMs ?? 0);
    const startedAtMs = performance.now();
    this.#running = { sinceMs: startedAtMs, expectedMs, requests: batch.length };
    try {
      const result = await this.#model.run(inputs, { outputs: batch[0]?.outputs ?? [], limitMs });
      const elapsedMs = performance.now() - startedAtMs;
      this.#times.record(elapsedMs);
      this.#service.record(elements, elapsedMs);
      const rows = batch.reduce((sum, { form }) => sum + (form?.rows ?? 1), 0);
      this.#rowElements = elements / rows;
      return result;
    } catch (error) {
      // A model whose honest inputs outgrew its limit gets a larger one this way, up to the node's.
      if (wasStopped(error)) {
        this.#times.record(limitMs);
        this.#service.record(elements, limitMs);
      }
      throw error;
    }
  }

  #gone(): NotFoundError {
    return new NotFoundError(
      `this node serves the version no longer: its model is ${this.#model.state}`,
    );
  }
}

function elementsOf(inputs: readonly NamedTensor[]): number {
  return inputs.reduce((sum, { tensor }) => sum + tensor.size, 0);
}

function asExecutionError(error: unknown): Error {
  return isSwarmError(error) ? error : new ExecutionError('model failed', { cause: error });
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

/** True when the model's process died of the execution. */
function endedProcess(error: unknown): boolean {
  return isSwarmError(error) && error.details['endedProcess'] === true;
}
