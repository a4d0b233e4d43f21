/** Milliseconds of one execution assumed before the first was measured, for a time to come back. */
export const ASSUMED_EXECUTION_MS = 20;

/** Bounds on the time to come back that a refused caller is told, in milliseconds. */
export const MIN_RETRY_AFTER_MS = 10;
export const MAX_RETRY_AFTER_MS = 30_000;

/** A version's queue as admission sees it. */
export interface QueueView {
  readonly queued: number;
  readonly maxQueued: number;
  /** Executions under way, at most `slots`. */
  readonly inFlight: number;
  /** Executions at once. */
  readonly slots: number;
  /** Mean milliseconds of one execution; null before the first. */
  readonly serviceMs: number | null;
  /** Milliseconds that the longest execution under way has been running; 0 when none is. */
  readonly runningMs: number;
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
 * What runs is given the rest of a mean execution; one that is past it may end at any moment and counts nothing.
 */
export function estimateWaitMs(queue: QueueView): number {
  if (queue.inFlight < queue.slots && queue.queued === 0) return 0;
  const serviceMs = queue.serviceMs ?? 0;
  const restMs = queue.inFlight < queue.slots ? 0 : Math.max(0, serviceMs - queue.runningMs);
  return restMs + (queue.queued * serviceMs) / queue.slots;
}

/**
 * Lets a request in while the queue has room and its turn should come within its deadline.
 *
 * Only the wait counts, not the execution: an idle node takes every request, or one slow execution could shut out all that
 * follow it, and with them the measurement that would correct the mean.
 */
export function decideAdmission(queue: QueueView, deadlineMs: number): AdmissionDecision {
  const waitMs = estimateWaitMs(queue);
  const full = queue.queued >= queue.maxQueued;
  if (!full && waitMs <= deadlineMs) return { admitted: true };
  return {
    admitted: false,
    reason: full ? 'full' : 'late',
    waitMs,
    retryAfterMs: retryAfterMs(queue),
  };
}

/** Milliseconds after which half of what waits should be done: at once would meet the same queue, later an idle node. */
export function retryAfterMs(queue: QueueView): number {
  const serviceMs = queue.serviceMs ?? ASSUMED_EXECUTION_MS;
  const halfMs = (Math.max(1, queue.queued) * serviceMs) / queue.slots / 2;
  return Math.round(Math.min(MAX_RETRY_AFTER_MS, Math.max(MIN_RETRY_AFTER_MS, halfMs)));
}
