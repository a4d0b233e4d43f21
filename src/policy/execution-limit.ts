/** Executions measured before a version's own times replace the node's default limit: a p99 of fewer is a maximum. */
export const MIN_MEASURED_EXECUTIONS = 32;

/** Executions the p99 is taken over: the last ones count, so that a limit follows a model whose inputs grow. */
export const MAX_MEASURED_EXECUTIONS = 512;

/** How far past its p99 an execution may go before it is taken for stuck. */
export const EXECUTION_LIMIT_FACTOR = 10;

/** Milliseconds under which no limit falls: a garbage collection or a busy disk must not kill a fast model. */
export const MIN_EXECUTION_LIMIT_MS = 1_000;

/** Weight of the newest execution in the mean: some 16 executions are remembered. */
const MEAN_WEIGHT = 1 / 16;

/** What is known of how long one version's executions take on this node. */
export class ExecutionTimes {
  /** The last {@link MAX_MEASURED_EXECUTIONS} in a ring; `#next` is the oldest once it is full. */
  readonly #measured: number[] = [];
  #next = 0;
  #meanMs: number | null = null;
  /** Undefined when it must be computed anew. */
  #p99Ms: number | undefined;

  /** Takes in an execution of `elapsedMs`. One that was stopped counts with the time it had: its end is not known. */
  record(elapsedMs: number): void {
    this.#meanMs =
      this.#meanMs === null ? elapsedMs : this.#meanMs + (elapsedMs - this.#meanMs) * MEAN_WEIGHT;
    this.#measured[this.#next] = elapsedMs;
    this.#next = (this.#next + 1) % MAX_MEASURED_EXECUTIONS;
    this.#p99Ms = undefined;
  }

  /** Executions the p99 is taken over now. */
  get count(): number {
    return this.#measured.length;
  }

  /** Exponentially weighted mean in milliseconds; null before the first. */
  get meanMs(): number | null {
    return this.#meanMs;
  }

  /** 99th percentile (nearest rank) in milliseconds; null before the first. */
  get p99Ms(): number | null {
    if (this.#measured.length === 0) return null;
    this.#p99Ms ??= nearestRank(this.#measured, 0.99);
    return this.#p99Ms;
  }
}

/**
 * Milliseconds an execution may take before its process is killed: ten times the measured p99 and at least a second, but
 * never over `maxLimitMs`, which also holds until enough were measured.
 */
export function executionLimitMs(
  times: Pick<ExecutionTimes, 'count' | 'p99Ms'>,
  maxLimitMs: number,
): number {
  const { count, p99Ms } = times;
  if (p99Ms === null || count < MIN_MEASURED_EXECUTIONS) return maxLimitMs;
  const limitMs = Math.max(MIN_EXECUTION_LIMIT_MS, Math.ceil(EXECUTION_LIMIT_FACTOR * p99Ms));
  return Math.min(maxLimitMs, limitMs);
}

function nearestRank(values: readonly number[], quantile: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(quantile * sorted.length) - 1)] ?? 0;
}
