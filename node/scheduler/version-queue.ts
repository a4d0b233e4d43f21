import { BusyError, isSwarmError, NotFoundError } from '../../protocols/errors.ts';
import type { Cancellation } from '../../protocols/inference/index.ts';
import { bytesOf, elementsOf, type NamedTensor } from '../../protocols/tensor.ts';
import type { LoadReport } from '../../protocols/types.ts';
import {
  DEFAULT_MAX_QUEUED_BYTES,
  decideAdmission,
  describeRefusal,
  estimateWaitMs,
  type QueueView,
} from '../../src/policy/admission.ts';
import { batchFormOf } from '../../src/policy/batch-form.ts';
import { momentaryLoad } from '../../src/policy/momentary-load.ts';
import type { RunTiming } from '../../src/policy/service-time.ts';
import type { LoadedModel, RunResult } from '../backend/backend.ts';
import { joinTensors, splitTensors } from './batch-tensors.ts';
import { type Clock, oncePerTurn, SYSTEM_CLOCK } from './clock.ts';
import { DeadlyInputs } from './deadly-inputs.ts';
import { takeBatch } from './next-batch.ts';
import { asExecutionError, endedProcess, lateError, wasStopped } from './queue-error.ts';
import { RunsUnderWay, type RunUnderWay } from './runs-under-way.ts';
import { VersionTimes } from './version-times.ts';
import { type QueuedResult, WaitingLine, type WaitingRequest } from './waiting-line.ts';

/** How requests of a version may run together. */
export interface Batching {
  /** The dimension of every input and output that counts rows. */
  readonly axis: number;
  /** Rows that may run at once; 1 for no batches. */
  readonly maxRows: number;
  /** Milliseconds that a request may be held back for others to join it, while the model is free. */
  readonly maxDelayMs: number;
}

/**
 * Milliseconds of work that lie ready in a model at most, besides the batch with which they are reached. With more, whoever comes
 * with a higher priority would wait for longer; with less, the model would wait for a busy event loop, which under load is up to
 * 6 ms late (p99, measured).
 */
const AHEAD_MS = 8;

const NO_BATCHING: Batching = { axis: 0, maxRows: 1, maxDelayMs: 0 };

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
  /** @default the system's */
  readonly clock?: Clock | undefined;
  /** Inputs that are known to end the process; grows by those that do. @default none */
  readonly deadly?: DeadlyInputs | undefined;
}

export interface SubmitOptions {
  /** Takes a request that waits out and abandons the result of one that runs. */
  readonly cancellation?: Cancellation | undefined;
  /** Who asks: callers of one priority get equal shares. @default one caller of all who are not named, who may fill the queue */
  readonly caller?: string | undefined;
  /** When the caller gives up, on the queue's clock, which by default is `performance.now()`; undefined for never. */
  readonly deadlineAtMs?: number | undefined;
  /** Higher ones run first, whoever asks. @default 0 */
  readonly priority?: number | undefined;
  /** Of those of one caller and priority higher ones run first. @default 0 */
  readonly ownPriority?: number | undefined;
  /** Names of the outputs wanted; undefined or empty for all. */
  readonly outputs?: readonly string[] | undefined;
}

/**
 * The line of requests before one loaded version, and the batches they run in.
 *
 * A request leaves it by its answer, by its deadline, or by its caller's cancelling it. The last two take a waiting request out and abandon
 * the result of a running one: only the node's own execution limit ends an execution, by killing its process. Of a batch that
 * fails each request is tried once more alone, so that what one of them brought about is its own.
 *
 * A model that takes runs ahead is handed the next batch shortly before it is free, if that batch is full: nothing but a request
 * of higher priority, or of a caller whose turn comes first, could change it, and those wait for what was handed in.
 */
export class VersionQueue {
  readonly #model: LoadedModel;
  readonly #init: VersionQueueInit;
  readonly #clock: Clock;
  readonly #line: WaitingLine;
  readonly #runs: RunsUnderWay;
  readonly #times: VersionTimes;
  readonly #deadly: DeadlyInputs;
  /** What comes in one piece from the network is handed in within one turn: it runs together, not its first alone. */
  readonly #advanceSoon: () => void;
  #batching: Batching;
  #lastRunAtMs: number;
  /** Since when a request is held back for others to join it. */
  #heldSinceMs: number | undefined;
  /** Takes back the timers at which to look again: when nothing is held back any more, when the next may be handed in. */
  #unhold = (): void => {};
  #unwait = (): void => {};
  #draining = false;
  readonly #drained: (() => void)[] = [];

  constructor(model: LoadedModel, init: VersionQueueInit) {
    const { timings = [], clock = SYSTEM_CLOCK, batching = NO_BATCHING } = init;
    this.#model = model;
    this.#init = init;
    this.#clock = clock;
    this.#line = new WaitingLine(clock);
    this.#runs = new RunsUnderWay(model, clock);
    this.#times = new VersionTimes({ timings, maxLimitMs: init.executionLimitMs });
    this.#batching = batching;
    this.#lastRunAtMs = clock.nowMs();
    this.#deadly = init.deadly ?? new DeadlyInputs();
    this.#advanceSoon = oncePerTurn(clock, () => this.#advance());
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
    const request = { deadlineMs, bytes };
    if (decideAdmission(this.#view(caller, elements), request).admitted) return;
    // What came in this turn and may begin leaves its place to others.
    if (this.#runs.hasFreePlace) this.#advance();
    const queue = this.#view(caller, elements);
    const decision = decideAdmission(queue, request);
    if (decision.admitted) return;
    const { message, details } = describeRefusal(queue, request, decision.reason);
    throw new BusyError(message, decision.retryAfterMs, { details });
  }

  /** Checks that there is a place and room still for who was admitted before; how long it waits was looked at then. */
  #readmit(bytes: number, caller: string | undefined): void {
    const request = { deadlineMs: Infinity, bytes };
    if (!this.#draining && decideAdmission(this.#view(caller), request).admitted) return;
    this.admit(request.deadlineMs, 0, bytes, caller);
  }

  /** @param elements of who asks; undefined where the wait is of no matter */
  #view(caller: string | undefined, elements?: number): QueueView {
    const { maxQueued, maxQueuedBytes = DEFAULT_MAX_QUEUED_BYTES } = this.#init;
    const { length: queued, bytes: queuedBytes } = this.#line;
    const { callerQueued, callerBytes } = this.#line.of(caller);
    // Not spread out of parts: one is made for each request, twice.
    return {
      queued,
      maxQueued,
      queuedBytes,
      maxQueuedBytes,
      callerQueued,
      callerBytes,
      waitMs: elements === undefined ? 0 : this.#waitMs(),
      serviceMs: elements === undefined ? null : this.#times.estimateMs(elements),
    };
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
    const submittedAtMs = this.#clock.nowMs();
    const { deadlineAtMs = Infinity, priority = 0, outputs = [] } = options;
    const { cancellation, caller, ownPriority } = options;
    cancellation?.throwIfCancelled();
    if (deadlineAtMs <= submittedAtMs) throw lateError('queue');
    this.#deadly.check(inputs);
    // A body takes its time after the header was admitted: others may have filled the queue since.
    this.#readmit(bytesOf(inputs), caller);
    // Awaited, so that the next run has begun before an answer is seen, and its load is said without it.
    return await new Promise((resolve, reject) => {
      this.#line.add({
        inputs,
        outputs,
        caller: caller ?? '',
        priority,
        ownPriority,
        cost: Math.max(1, elementsOf(inputs)),
        form: batchFormOf(inputs, outputs, this.#batching.axis),
        submittedAtMs,
        deadlineAtMs,
        cancellation,
        onExpired: lateError,
        resolve,
        reject,
      });
      this.#advanceSoon();
    });
  }

  /** What others need to know of this queue. */
  load(): LoadReport {
    if (this.#idle()) this.#times.idleFor(this.#clock.nowMs() - this.#lastRunAtMs);
    return {
      inFlight: this.#runs.requests,
      queued: this.#line.length,
      slots: this.#runs.parallel * this.#times.slots(this.#batching.maxRows),
      serviceMs: this.#times.serviceMs,
    };
  }

  /** The same for who is about to choose: it also tells of an execution that takes too long. */
  momentaryLoad(): LoadReport {
    return momentaryLoad(this.load(), this.#runs.work());
  }

  /** Takes no more and resolves when all that was taken is done. Idempotent. */
  async drain(): Promise<void> {
    this.#draining = true;
    if (this.#idle()) return;
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  /** Rows that run together at most; 1 when requests run alone. */
  get maxRows(): number {
    return this.#batching.maxRows;
  }

  /** Milliseconds that the next execution may take. */
  get limitMs(): number {
    return this.#times.limitMs();
  }

  #waitMs(): number {
    // A request of more rows than a batch may have still runs but once.
    const rounds = Math.ceil(this.#line.rows / this.#batching.maxRows);
    const batches = Math.min(this.#line.length, rounds);
    return estimateWaitMs({
      runs: this.#runs.work(),
      parallel: this.#runs.parallel,
      queuedMs: this.#line.length === 0 ? 0 : this.#times.estimateMs(this.#line.cost, batches),
    });
  }

  #idle(): boolean {
    return this.#runs.count === 0 && this.#line.length === 0;
  }

  /** Hands the model what it takes now, and settles what can not run any more. */
  #advance(): void {
    const { state } = this.#model;
    if (state === 'failed' || state === 'unloaded') {
      for (let next = this.#line.take(); next !== undefined; next = this.#line.take()) {
        next.reject(this.#gone());
      }
    } else if (state === 'ready') {
      while (this.#runs.hasFreePlace && !this.#holdBack()) if (!this.#startNext(0)) break;
      this.#sendAhead();
    }
    if (this.#idle()) for (const resolve of this.#drained.splice(0)) resolve();
  }

  /** True while the manifest's delay lets those that wait be joined by others. */
  #holdBack(): boolean {
    const { maxDelayMs, maxRows } = this.#batching;
    this.#unhold();
    if (maxDelayMs === 0 || this.#line.length === 0 || this.#line.rows >= maxRows) return false;
    const nowMs = this.#clock.nowMs();
    this.#heldSinceMs ??= nowMs;
    const restMs = this.#heldSinceMs + maxDelayMs - nowMs;
    if (restMs <= 0 || this.#draining) return false;
    this.#unhold = this.#clock.after(restMs, () => this.#advance());
    return true;
  }

  /** Hands in full batches that a busy model will want soon. */
  #sendAhead(): void {
    this.#unwait();
    while (this.#runs.takesAhead && this.#line.fills(this.#batching.maxRows)) {
      const inMs = this.#runs.beginsInMs();
      // Before the first run was measured, nobody knows when the model will be free.
      if (inMs === null) return;
      if (inMs > AHEAD_MS) {
        this.#unwait = this.#clock.after(inMs - AHEAD_MS, () => this.#advance());
        return;
      }
      if (!this.#startNext(inMs)) return;
    }
  }

  /** Starts the next batch, which should begin in so many milliseconds; false when none waits. */
  #startNext(inMs: number): boolean {
    this.#heldSinceMs = undefined;
    const batch = takeBatch(this.#line, {
      maxRows: this.#batching.maxRows,
      beginsAtMs: this.#clock.nowMs() + inMs,
      times: this.#times,
    });
    if (batch.length === 0) return false;
    void this.#execute(batch);
    return true;
  }

  async #execute(batch: readonly WaitingRequest[]): Promise<void> {
    const place = this.#runs.add(batch.length);
    try {
      const [first] = batch;
      if (first !== undefined && batch.length === 1) await this.#runAlone(first, place);
      else await this.#runBatch(batch, place);
    } finally {
      this.#runs.remove(place);
      this.#lastRunAtMs = this.#clock.nowMs();
      this.#advance();
    }
  }

  async #runBatch(batch: readonly WaitingRequest[], place: RunUnderWay): Promise<void> {
    const { axis } = this.#batching;
    const rows = batch.map((request) => request.rows);
    try {
      const inputs = joinTensors(
        batch.map((request) => request.inputs),
        axis,
      );
      const { outputs, executeMs, beganAtMs } = await this.#run(inputs, batch, place);
      const split = splitTensors(outputs, rows, axis);
      if (split !== undefined) {
        for (const [index, request] of batch.entries()) {
          const queueMs = beganAtMs - request.submittedAtMs;
          const together = batch.length;
          request.resolve({ outputs: split[index] ?? [], queueMs, executeMs, together });
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
    for (const request of batch) if (!request.isSettled) await this.#runAlone(request, place);
  }

  async #runAlone(request: WaitingRequest, place: RunUnderWay): Promise<void> {
    try {
      const { outputs, executeMs, beganAtMs } = await this.#run(request.inputs, [request], place);
      const queueMs = beganAtMs - request.submittedAtMs;
      request.resolve({ outputs, queueMs, executeMs, together: 1 });
    } catch (error) {
      if (endedProcess(error)) this.#deadly.add(request.inputs);
      request.reject(asExecutionError(error));
    }
  }

  /** Without the callers' signals: this queue must know when the process is free again. */
  async #run(
    inputs: readonly NamedTensor[],
    batch: readonly WaitingRequest[],
    place: RunUnderWay,
  ): Promise<RunResult & { readonly beganAtMs: number }> {
    const elements = elementsOf(inputs);
    const expectedMs = this.#times.estimateMs(elements);
    const limitMs = this.#times.limitMs(expectedMs);
    const rows = batch.reduce((sum, request) => sum + request.rows, 0);
    let beganAtMs = this.#clock.nowMs();
    const onBegin = (): void => {
      beganAtMs = this.#clock.nowMs();
      place.beganAtMs = beganAtMs;
      for (const request of batch) request.begin();
    };
    place.expectedMs = expectedMs;
    place.beganAtMs = undefined;
    // A model that takes none ahead begins at once, and need not say so.
    if (this.#runs.count <= this.#runs.parallel) onBegin();
    const outputs = batch[0]?.outputs ?? [];
    try {
      const result = await this.#model.run(inputs, { outputs, limitMs, onBegin });
      this.#times.record({ elements, rows }, this.#clock.nowMs() - beganAtMs);
      return { ...result, beganAtMs };
    } catch (error) {
      if (wasStopped(error)) this.#times.recordStopped(elements, limitMs);
      throw error;
    }
  }

  #gone(): NotFoundError {
    return new NotFoundError(
      `this node serves the version no longer: its model is ${this.#model.state}`,
    );
  }
}
