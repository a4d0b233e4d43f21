import { isSwarmError } from '../../protocols/errors.ts';
import { latencyBucket, type VersionOutcome } from '../../protocols/outcome/index.ts';

/** Milliseconds that one slice of time holds while it is young. */
const SLICE_MS = 1_000;

/** How many times as old as long a slice is: a window's edge is blurred by this part of it, and a day takes some 150 slices. */
const AGE_TO_LENGTH = 16;

/** Slices from which on old ones are joined. */
const MAX_SLICES = 256;

/** Milliseconds for which anything is remembered: the longest window of a guard. */
const MAX_AGE_MS = 86_400_000;

/** Callers told apart in one slice; the others count as one. */
const MAX_CALLERS = 64;

/** Milliseconds on a node below which a request that ran out of time says more of its caller than of the version. */
export const MIN_TIMEOUT_MS = 1_000;

/** How one request ended. */
export type RequestOutcome =
  | { readonly kind: 'answered'; readonly latencyMs: number }
  | { readonly kind: 'execution' | 'timeout' };

export type OutcomeCounts = Omit<VersionOutcome, 'cid'>;

interface MutableCounts {
  execution: number;
  timeout: number;
  readonly latencies: number[];
}

interface Slice {
  readonly startMs: number;
  endMs: number;
  readonly callers: Map<string, MutableCounts>;
}

/**
 * What an error says against the version that was asked; undefined when it is not the version's fault: a wrong input, a busy
 * or vanished node, a caller without patience.
 */
export function outcomeOfError(error: unknown, elapsedMs: number): RequestOutcome | undefined {
  if (!isSwarmError(error)) return undefined;
  if (error.code === 'ERR_EXECUTION') return { kind: 'execution' };
  const late = error.code === 'ERR_DEADLINE' && error.details['phase'] === 'execute';
  return late && elapsedMs >= MIN_TIMEOUT_MS ? { kind: 'timeout' } : undefined;
}

/** Counts how requests to one version ended, by time and by caller. */
export class OutcomeTally {
  /** Oldest first; none overlaps another. */
  #slices: Slice[] = [];

  /** `caller` is who asked, where that is not always the same. */
  record(outcome: RequestOutcome, nowMs: number, caller = ''): void {
    const counts = countsOf(this.#slice(nowMs), caller);
    if (outcome.kind === 'answered') {
      const bucket = latencyBucket(outcome.latencyMs);
      while (counts.latencies.length <= bucket) counts.latencies.push(0);
      counts.latencies[bucket] = (counts.latencies[bucket] ?? 0) + 1;
    } else {
      counts[outcome.kind] += 1;
    }
  }

  /**
   * The counts from a moment on.
   *
   * `withoutWorstCaller` leaves out all of the caller with the most failures: what one caller alone can provoke, by inputs
   * made for it, says nothing of the version.
   */
  since(fromMs: number, options: { readonly withoutWorstCaller: boolean }): OutcomeCounts {
    const callers = new Map<string, MutableCounts>();
    for (const slice of this.#slices) {
      if (slice.endMs < fromMs) continue;
      for (const [caller, counts] of slice.callers) {
        const sum = callers.get(caller) ?? empty();
        callers.set(caller, sum);
        addTo(sum, counts);
      }
    }
    const worst = options.withoutWorstCaller ? worstOf(callers) : undefined;
    if (worst !== undefined) callers.delete(worst);
    const total = empty();
    for (const counts of callers.values()) addTo(total, counts);
    return total;
  }

  /** The counts of the last `windowMs` in which there were any, however long ago: a version that was left keeps its record. */
  last(windowMs: number, options: { readonly withoutWorstCaller: boolean }): OutcomeCounts {
    const newest = this.#slices.at(-1)?.endMs ?? 0;
    return this.since(newest - windowMs, options);
  }

  #slice(nowMs: number): Slice {
    const newest = this.#slices.at(-1);
    if (newest !== undefined && nowMs < newest.startMs + SLICE_MS) {
      newest.endMs = Math.max(newest.endMs, nowMs);
      return newest;
    }
    const slice: Slice = { startMs: nowMs, endMs: nowMs, callers: new Map() };
    this.#slices.push(slice);
    if (this.#slices.length > MAX_SLICES) this.#join(nowMs);
    return slice;
  }

  #join(nowMs: number): void {
    const joined: Slice[] = [];
    for (const slice of this.#slices) {
      if (nowMs - slice.endMs >= MAX_AGE_MS) continue;
      const before = joined.at(-1);
      const lengthMs = slice.endMs - (before?.startMs ?? Number.NEGATIVE_INFINITY);
      if (before === undefined || AGE_TO_LENGTH * lengthMs > nowMs - slice.endMs) {
        joined.push(slice);
        continue;
      }
      before.endMs = slice.endMs;
      for (const [caller, counts] of slice.callers) addTo(countsOf(before, caller), counts);
    }
    this.#slices = joined;
  }
}

function countsOf({ callers }: Slice, caller: string): MutableCounts {
  const known = callers.get(caller);
  if (known !== undefined) return known;
  const key = callers.size < MAX_CALLERS ? caller : 'others';
  const counts = callers.get(key) ?? empty();
  callers.set(key, counts);
  return counts;
}

function worstOf(callers: ReadonlyMap<string, MutableCounts>): string | undefined {
  let worst: string | undefined;
  let most = 0;
  for (const [caller, { execution, timeout }] of callers) {
    if (execution + timeout <= most) continue;
    most = execution + timeout;
    worst = caller;
  }
  return worst;
}

function addTo(sum: MutableCounts, counts: OutcomeCounts): void {
  sum.execution += counts.execution;
  sum.timeout += counts.timeout;
  for (const [bucket, count] of counts.latencies.entries()) {
    while (sum.latencies.length <= bucket) sum.latencies.push(0);
    sum.latencies[bucket] = (sum.latencies[bucket] ?? 0) + count;
  }
}

function empty(): MutableCounts {
  return { execution: 0, timeout: 0, latencies: [] };
}
