/** Milliseconds of one execution assumed before the first was measured, for a time to come back. */
export const ASSUMED_EXECUTION_MS = 20;

/** Bounds on the time to come back that a refused caller is told, in milliseconds. */
export const MIN_RETRY_AFTER_MS = 10;
export const MAX_RETRY_AFTER_MS = 30_000;

/** A version's queue as admission sees it. */
export interface QueueView {
  readonly queued: number;
  readonly maxQueued: number;
  /** Milliseconds until a request that came now would begin; 0 when nothing runs or waits. */
  readonly waitMs: number;
  /** Milliseconds that the request itself would take; null before anything was measured. */
  readonly serviceMs: number | null;
}

/** A run that a model was given. */
export interface RunWork {
  /** Milliseconds it was expected to take; null before anything was measured. */
  readonly expectedMs: number | null;
  /** Milliseconds for which it has been executing; 0 while it lies ready behind another. */
  readonly runningMs: number;
}

/** What the wait consists of. */
export interface QueueWork {
  readonly runs: readonly RunWork[];
  /** Runs that execute at the same time. */
  readonly parallel: number;
  /** Milliseconds that all that waits will take, one after another; null before anything was measured. */
  readonly queuedMs: number | null;
}

/** `retryAfterMs` is when there should be room again. */
export type AdmissionDecision =
  | { readonly admitted: true }
  | {
      readonly admitted: false;
      readonly reason: 'full' | 'late';
      readonly waitMs: number;
      readonly retryAfterMs: number;
    };

/**
 * Estimated milliseconds until a request that came now would begin.
 *
 * What runs is given the rest of what it was expected to take; one that is past it may end at any moment and counts nothing.
 */
export function estimateWaitMs({ runs, parallel, queuedMs }: QueueWork): number {
  const restMs = runs.reduce(
    (sum, { expectedMs, runningMs }) => sum + Math.max(0, (expectedMs ?? 0) - runningMs),
    0,
  );
  if (runs.length < parallel && (queuedMs ?? 0) === 0) return 0;
  return (restMs + (queuedMs ?? 0)) / parallel;
}

/**
 * Lets a request in while the queue has room and it should be done within its deadline.
 *
 * Whoever need not wait is let in whatever it is expected to take, or one slow execution could shut out all that follow it, and
 * with them the measurement that would correct the estimate.
 */
export function decideAdmission(queue: QueueView, deadlineMs: number): AdmissionDecision {
  const { waitMs, serviceMs } = queue;
  const full = queue.queued >= queue.maxQueued;
  const late = waitMs > 0 && waitMs + (serviceMs ?? 0) > deadlineMs;
  if (!full && !late) return { admitted: true };
  return {
    admitted: false,
    reason: full ? 'full' : 'late',
    waitMs,
    retryAfterMs: retryAfterMs(queue),
  };
}

/** Milliseconds after which half of what waits should be done: at once would meet the same queue, later an idle node. */
export function retryAfterMs({ waitMs, queued, serviceMs }: QueueView): number {
  const halfMs = Math.max(waitMs, serviceMs ?? Math.max(1, queued) * ASSUMED_EXECUTION_MS) / 2;
  return Math.round(Math.min(MAX_RETRY_AFTER_MS, Math.max(MIN_RETRY_AFTER_MS, halfMs)));
}
