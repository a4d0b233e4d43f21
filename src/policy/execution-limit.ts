/** Executions measured before a version's own times replace the node's default limit: a p99 of fewer is a maximum. */
export const MIN_MEASURED_EXECUTIONS = 32;

/** Executions the p99 is taken over: the last ones count, so that a limit follows a model whose inputs grow. */
export const MAX_MEASURED_EXECUTIONS = 512;

/** How far past its p99 an execution may go before it is taken for stuck. */
export const EXECUTION_LIMIT_FACTOR = 10;

/** Milliseconds under which no limit falls: a garbage collection or a busy disk must not kill a fast model. */
export const MIN_EXECUTION_LIMIT_MS = 1_000;

/** What is known of how long one version's executions take on this node. */
export class ExecutionTimes {
  /** The last {@link MAX_MEASURED_EXECUTIONS} in a ring; `#next` is the oldest once it is full. */
  readonly #ring = new Float64Array(MAX_MEASURED_EXECUTIONS);
  /** The same, least first: kept in order, because sorting them for each execution took an eighth of a busy node's time. */
  readonly #sorted = new Float64Array(MAX_MEASURED_EXECUTIONS);
  #count = 0;
  #next = 0;

  /** Takes in an execution of `elapsedMs`. One that was stopped counts with the time it had: its end is not known. */
  record(elapsedMs: number): void {
    if (this.#count === MAX_MEASURED_EXECUTIONS) this.#forget(this.#ring[this.#next] ?? 0);
    this.#ring[this.#next] = elapsedMs;
    this.#next = (this.#next + 1) % MAX_MEASURED_EXECUTIONS;
    const rank = this.#rank(elapsedMs);
    this.#sorted.copyWithin(rank + 1, rank, this.#count);
    this.#sorted[rank] = elapsedMs;
    this.#count += 1;
  }

  /** Executions the p99 is taken over now. */
  get count(): number {
    return this.#count;
  }

  /** 99th percentile (nearest rank) in milliseconds; null before the first. */
  get p99Ms(): number | null {
    if (this.#count === 0) return null;
    return this.#sorted[Math.max(0, Math.ceil(0.99 * this.#count) - 1)] ?? null;
  }

  #forget(elapsedMs: number): void {
    const rank = this.#rank(elapsedMs);
    this.#sorted.copyWithin(rank, rank + 1, this.#count);
    this.#count -= 1;
  }

  /** Executions that were measured shorter. */
  #rank(elapsedMs: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sorted[middle] ?? 0) < elapsedMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * Milliseconds an execution may take before its process is killed: ten times the measured p99 or what it is expected to take,
 * whichever is more, and at least a second, but never over `maxLimitMs`, which also holds until enough were measured.
 *
 * @param expectedMs of this execution: a batch may be larger than any that was measured
 */
export function executionLimitMs(
  times: Pick<ExecutionTimes, 'count' | 'p99Ms'>,
  maxLimitMs: number,
  expectedMs = 0,
): number {
  const { count, p99Ms } = times;
  if (p99Ms === null || count < MIN_MEASURED_EXECUTIONS) return maxLimitMs;
  const usualMs = Math.max(p99Ms, expectedMs);
  const limitMs = Math.max(MIN_EXECUTION_LIMIT_MS, Math.ceil(EXECUTION_LIMIT_FACTOR * usualMs));
  return Math.min(maxLimitMs, limitMs);
}
