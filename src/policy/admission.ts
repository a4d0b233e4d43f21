/** Milliseconds of one execution assumed before the first was measured, for a time to come back. */
export const ASSUMED_EXECUTION_MS = 20;

/** Bounds on the time to come back that a refused caller is told, in milliseconds. */
export const MIN_RETRY_AFTER_MS = 10;
export const MAX_RETRY_AFTER_MS = 30_000;

/** Requests that may wait for one version. */
export const DEFAULT_MAX_QUEUED = 256;

/** Bytes of inputs that may wait for one version: half of what a node takes in of bodies at once. */
export const DEFAULT_MAX_QUEUED_BYTES = 256 * 1024 * 1024;

/** A caller may have so many times what it leaves free: three quarters of a queue while it is alone, three sevenths where there are two. */
const CALLER_SHARE = 3;

/** A version's queue as admission sees it. */
export interface QueueView {
  readonly queued: number;
  readonly maxQueued: number;
  /** Bytes of the inputs of all that wait. */
  readonly queuedBytes: number;
  readonly maxQueuedBytes: number;
  /** Those of the caller who asks. */
  readonly callerQueued: number;
  readonly callerBytes: number;
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

/** A request as far as its header tells. */
export interface AskedRequest {
  /** Milliseconds until its caller gives up. */
  readonly deadlineMs: number;
  /** Bytes of its inputs. */
  readonly bytes: number;
}

/** No place; no room for its bytes; its caller has its share of both; not to be done within its deadline. */
export type RefusalReason = 'full' | 'heavy' | 'share' | 'late';

/** `retryAfterMs` is when there should be room again. */
export type AdmissionDecision =
  | { readonly admitted: true }
  | {
      readonly admitted: false;
      readonly reason: RefusalReason;
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
 * Lets a request in while the queue has room for it and for its bytes, and it should be done within its deadline. One with more
 * bytes than may ever wait is let in when none wait. A caller is kept from the last places, which others find then.
 *
 * Whoever need not wait is let in whatever it is expected to take, or one slow execution could shut out all that follow it, and
 * with them the measurement that would correct the estimate.
 */
export function decideAdmission(queue: QueueView, request: AskedRequest): AdmissionDecision {
  const reason = refusalOf(queue, request);
  if (reason === undefined) return { admitted: true };
  return { admitted: false, reason, waitMs: queue.waitMs, retryAfterMs: retryAfterMs(queue) };
}

function refusalOf(
  queue: QueueView,
  { deadlineMs, bytes }: AskedRequest,
): RefusalReason | undefined {
  const { waitMs, serviceMs, callerQueued, callerBytes, queuedBytes } = queue;
  const freePlaces = queue.maxQueued - queue.queued;
  const freeBytes = queue.maxQueuedBytes - queuedBytes - bytes;
  if (freePlaces <= 0) return 'full';
  if (queuedBytes > 0 && freeBytes < 0) return 'heavy';
  if (callerQueued >= CALLER_SHARE * freePlaces) return 'share';
  if (callerBytes > 0 && callerBytes + bytes > CALLER_SHARE * freeBytes) return 'share';
  return waitMs > 0 && waitMs + (serviceMs ?? 0) > deadlineMs ? 'late' : undefined;
}

/** Why a request is refused, in a sentence and in numbers with their units. */
export function describeRefusal(
  queue: QueueView,
  { deadlineMs, bytes }: AskedRequest,
  reason: RefusalReason,
): { readonly message: string; readonly details: Readonly<Record<string, number>> } {
  const { queued, maxQueued, queuedBytes, maxQueuedBytes, serviceMs } = queue;
  const { callerQueued, callerBytes } = queue;
  const waitMs = Math.round(queue.waitMs);
  switch (reason) {
    case 'full':
      return {
        message: `queue holds ${queued} requests, some ${waitMs} ms of work, expected fewer than ${maxQueued}`,
        details: { queued, maxQueued, waitMs },
      };
    case 'heavy':
      return {
        message: `queue holds ${queuedBytes} bytes of inputs, some ${waitMs} ms of work, expected at most ${maxQueuedBytes} with the ${bytes} of this request`,
        details: { queued, queuedBytes, maxQueuedBytes, bytes, waitMs },
      };
    case 'share':
      return {
        message: `caller has ${callerQueued} requests with ${callerBytes} bytes waiting, expected at most ${CALLER_SHARE} times what is free: ${maxQueued - queued} places and ${maxQueuedBytes - queuedBytes} bytes`,
        details: { queued, queuedBytes, callerQueued, callerBytes, waitMs },
      };
    case 'late':
      return {
        message: `wait and execution would be ${Math.round(queue.waitMs + (serviceMs ?? 0))} ms, expected at most the deadline of ${Math.round(deadlineMs)} ms`,
        details: { queued, waitMs, deadlineMs },
      };
  }
}

/** Milliseconds after which half of what waits should be done: at once would meet the same queue, later an idle node. */
export function retryAfterMs({ waitMs, queued, serviceMs }: QueueView): number {
  const halfMs = Math.max(waitMs, serviceMs ?? Math.max(1, queued) * ASSUMED_EXECUTION_MS) / 2;
  return Math.round(Math.min(MAX_RETRY_AFTER_MS, Math.max(MIN_RETRY_AFTER_MS, halfMs)));
}
