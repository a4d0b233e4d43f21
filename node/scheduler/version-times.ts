import { ExecutionTimes, executionLimitMs } from '../../src/policy/execution-limit.ts';
import { type RunTiming, ServiceTime } from '../../src/policy/service-time.ts';

/** Milliseconds without a request after which the times of the last runs are forgotten. */
const FORGET_MS = 10_000;

export interface VersionTimesInit {
  /** Runs that were measured before, at their best. */
  readonly timings: readonly RunTiming[];
  /** Milliseconds one execution may take until enough were measured, and the most it may ever take. */
  readonly maxLimitMs: number;
}

/** How long one version's runs take on this node, and what follows from it. */
export class VersionTimes {
  readonly #executions = new ExecutionTimes();
  readonly #service: ServiceTime;
  readonly #maxLimitMs: number;
  /** Elements of one row, of the last requests that ran. */
  #rowElements: number;

  constructor({ timings, maxLimitMs }: VersionTimesInit) {
    this.#service = new ServiceTime(timings);
    this.#maxLimitMs = maxLimitMs;
    // The smallest that was tried is one row.
    const [first] = timings.toSorted((a, b) => a.elements - b.elements);
    this.#rowElements = first?.elements ?? 0;
  }

  /** Milliseconds that so many runs take that have so many elements together; null before anything was measured. */
  estimateMs(elements: number, runs = 1): number | null {
    return this.#service.estimateMs(elements, runs);
  }

  /** Milliseconds that an execution may take of which so many are expected. */
  limitMs(expectedMs: number | null = null): number {
    return executionLimitMs(this.#executions, this.#maxLimitMs, expectedMs ?? 0);
  }

  /** What a request of the last rows' size takes alone. */
  get serviceMs(): number | null {
    return this.#service.estimateMs(this.#rowElements);
  }

  /** Requests of one row that full batches get done in the time that one takes alone. */
  slots(maxRows: number): number {
    const aloneMs = this.serviceMs ?? 0;
    const togetherMs = this.#service.estimateMs(this.#rowElements * maxRows) ?? 0;
    if (maxRows === 1 || aloneMs === 0 || togetherMs === 0) return 1;
    return Math.max(1, Math.min(maxRows, Math.round((maxRows * aloneMs) / togetherMs)));
  }

  record(run: { readonly elements: number; readonly rows: number }, elapsedMs: number): void {
    this.#executions.record(elapsedMs);
    this.#service.record(run.elements, elapsedMs);
    this.#rowElements = run.elements / run.rows;
  }

  /** Takes in one that its limit ended: a model whose honest inputs outgrew it gets a larger one this way, up to the node's. */
  recordStopped(elements: number, limitMs: number): void {
    this.#executions.record(limitMs);
    this.#service.record(elements, limitMs);
  }

  /** Nothing has run for so long. Who was slow once, being cold or disturbed, is asked no more, and would be slow for ever. */
  idleFor(ms: number): void {
    if (ms > FORGET_MS) this.#service.reset();
  }
}
