import type { ErrorDetails } from './errors.ts';
import {
  BusyError,
  CorruptError,
  DeadlineError,
  ExecutionError,
  ForbiddenError,
  InternalError,
  InvalidInputError,
  InvalidMessageError,
  InvalidModelError,
  InvalidRecordError,
  isSwarmError,
  LimitError,
  LoadingError,
  NoNodeError,
  NotFoundError,
  StoreError,
  type SwarmError,
} from './errors.ts';
import { MAX_REMOTE_TEXT } from './limits.ts';

/** How an answer ended, as it stands on the wire. Numbers are never reused. */
export const STATUS = {
  ok: 0,
  invalidInput: 1,
  invalidModel: 2,
  invalidRecord: 3,
  invalidMessage: 4,
  notFound: 5,
  noNode: 6,
  forbidden: 7,
  busy: 8,
  loading: 9,
  limit: 10,
  deadline: 11,
  execution: 12,
  store: 13,
  internal: 14,
  corrupt: 15,
  cancelled: 16,
} as const;

/** What a failed answer carries besides its {@link STATUS}. */
export interface WireFailure {
  readonly status: number;
  readonly message: string;
  /** Milliseconds: when to retry (`busy`) or until ready (`loading`); null when unknown or not meant. */
  readonly afterMs: number | null;
}

/** The wire form of an error. Stacks, paths and errors that are not ours stay here: they become a bare `internal`. */
export function failureFromError(error: unknown): WireFailure {
  if (!isSwarmError(error)) {
    const cancelled = error instanceof Error && error.name === 'AbortError';
    return cancelled
      ? { status: STATUS.cancelled, message: 'cancelled', afterMs: null }
      : { status: STATUS.internal, message: 'internal error', afterMs: null };
  }
  const message = error.message.slice(0, MAX_REMOTE_TEXT);
  const { retryAfterMs, etaMs } = error.details;
  const after = retryAfterMs ?? etaMs;
  return {
    status: statusOf(error),
    message,
    afterMs: typeof after === 'number' ? Math.max(0, Math.round(after)) : null,
  };
}

function statusOf(error: SwarmError): number {
  switch (error.code) {
    case 'ERR_INVALID_INPUT':
      return STATUS.invalidInput;
    case 'ERR_INVALID_MODEL':
      return STATUS.invalidModel;
    case 'ERR_INVALID_RECORD':
      return STATUS.invalidRecord;
    case 'ERR_INVALID_MESSAGE':
      return STATUS.invalidMessage;
    case 'ERR_NOT_FOUND':
      return STATUS.notFound;
    case 'ERR_NO_NODE':
      return STATUS.noNode;
    case 'ERR_FORBIDDEN':
      return STATUS.forbidden;
    case 'ERR_BUSY':
      return STATUS.busy;
    case 'ERR_LOADING':
      return STATUS.loading;
    case 'ERR_LIMIT':
      return STATUS.limit;
    case 'ERR_DEADLINE':
      return STATUS.deadline;
    case 'ERR_EXECUTION':
      return STATUS.execution;
    case 'ERR_STORE':
      return STATUS.store;
    case 'ERR_CORRUPT':
      return STATUS.corrupt;
    case 'ERR_CONFIG':
    case 'ERR_CONNECTION':
    case 'ERR_DISAGREEMENT':
    case 'ERR_INTERNAL':
      return STATUS.internal;
  }
}

/**
 * The error a peer's failed answer stands for. The text is the peer's: it is bounded and stripped of control characters,
 * and `details.peer` says whose it is.
 */
export function errorFromFailure(
  failure: WireFailure,
  details: ErrorDetails = {},
): SwarmError | Error {
  const message = cleanRemoteText(failure.message);
  const options = { details: { ...details, remote: true } };
  switch (failure.status) {
    case STATUS.invalidInput:
      return new InvalidInputError(message, options);
    case STATUS.invalidModel:
      return new InvalidModelError(message, options);
    case STATUS.invalidRecord:
      return new InvalidRecordError(message, options);
    case STATUS.invalidMessage:
      return new InvalidMessageError(message, options);
    case STATUS.notFound:
      return new NotFoundError(message, options);
    case STATUS.noNode:
      return new NoNodeError(message, options);
    case STATUS.forbidden:
      return new ForbiddenError(message, options);
    case STATUS.busy:
      return new BusyError(message, failure.afterMs ?? 0, options);
    case STATUS.loading:
      return new LoadingError(message, failure.afterMs, options);
    case STATUS.limit:
      return new LimitError(message, options);
    case STATUS.deadline:
      return new DeadlineError(message, 'queue', options);
    case STATUS.execution:
      return new ExecutionError(message, options);
    case STATUS.store:
      return new StoreError(message, options);
    case STATUS.corrupt:
      return new CorruptError(message, options);
    case STATUS.cancelled:
      return new DOMException(message, 'AbortError');
    case STATUS.internal:
      return new InternalError(message, options);
    default:
      return new InternalError(`unknown status ${failure.status}: ${message}`, options);
  }
}

/** Text from a peer, bounded to `MAX_REMOTE_TEXT` characters, without control characters that could forge a log line. */
export function cleanRemoteText(text: string): string {
  let clean = '';
  for (const character of text.slice(0, MAX_REMOTE_TEXT)) {
    const code = character.codePointAt(0) ?? 0;
    clean += code < 0x20 || (code >= 0x7f && code <= 0x9f) ? ' ' : character;
  }
  return clean;
}

/** Whether another node may succeed where this error came from: the input itself is not at fault. */
export function isRetryableElsewhere(error: unknown): boolean {
  if (!isSwarmError(error)) return false;
  switch (error.code) {
    case 'ERR_BUSY':
    case 'ERR_LOADING':
    case 'ERR_NOT_FOUND':
    case 'ERR_FORBIDDEN':
    case 'ERR_CONNECTION':
    case 'ERR_INTERNAL':
    case 'ERR_EXECUTION':
    case 'ERR_STORE':
    case 'ERR_CORRUPT':
    case 'ERR_INVALID_MESSAGE':
    case 'ERR_NO_NODE':
      return true;
    default:
      return false;
  }
}

/** Whether the version is there and cannot be had right now: whoever waits may have it, and is told for how long where that is known. */
export function isNotYet(error: unknown): error is BusyError | LoadingError {
  return isSwarmError(error) && (error.code === 'ERR_BUSY' || error.code === 'ERR_LOADING');
}
