/**
 * Every failure the swarm reports, cut by what the caller can do about it.
 *
 * Callers match on `code`: two copies of this package in one program break `instanceof`.
 *
 * @see docs/errors.md for each code, its meaning and what to do.
 */

/** A code of {@link SwarmError}; docs/errors.md lists them all. */
export type ErrorCode =
  | 'ERR_INVALID_INPUT'
  | 'ERR_INVALID_MODEL'
  | 'ERR_INVALID_RECORD'
  | 'ERR_INVALID_MESSAGE'
  | 'ERR_CONFIG'
  | 'ERR_NOT_FOUND'
  | 'ERR_NO_NODE'
  | 'ERR_FORBIDDEN'
  | 'ERR_BUSY'
  | 'ERR_LOADING'
  | 'ERR_LIMIT'
  | 'ERR_DEADLINE'
  | 'ERR_CONNECTION'
  | 'ERR_CORRUPT'
  | 'ERR_STORE'
  | 'ERR_EXECUTION'
  | 'ERR_DISAGREEMENT'
  | 'ERR_INTERNAL';

/** Plain data that says more than the message: numbers with units in their names, ids, the field that is wrong. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

export interface SwarmErrorOptions extends ErrorOptions {
  readonly details?: ErrorDetails;
}

/** The base of every error this package throws on purpose. */
export class SwarmError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options: SwarmErrorOptions = {}) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** The caller's tensors, names or arguments are wrong: fix the input, retrying elsewhere cannot help. */
export class InvalidInputError extends SwarmError {
  constructor(message: string, options?: SwarmErrorOptions) {
    super('ERR_INVALID_INPUT', message, options);
  }
}

/** The model's files cannot be served: malformed, unsupported operator or datatype, refused by limits. */
export class InvalidModelError extends SwarmError {
  constructor(message: string, options?: SwarmErrorOptions) {
    super('ERR_INVALID_MODEL', message, options);
  }
}

/** A signed or content-addressed record is not what it claims: wrong hash, signature, sequence or form. */
export class InvalidRecordError extends SwarmError {
  constructor(message: string, options?: SwarmErrorOptions) {
    super('ERR_INVALID_RECORD', message, options);
  }
}

/** A peer broke a wire protocol; its stream is reset. */
export class InvalidMessageError extends SwarmError {
  constructor(message: string, options?: SwarmErrorOptions) {
    super('ERR_INVALID_MESSAGE', message, options);
  }
}

/** A setting is unknown, out of range or contradicts another. */
export class ConfigError extends SwarmError {
  constructor(message: string, options?: SwarmErrorOptions) {
    super('ERR_CONFIG', message, options);
  }
}

/** The model, channel, version, block or file does not exist where it was looked for. */
export class NotFoundError extends SwarmError {
  constructor(message: string, options?: SwarmErrorOptions) {
    super('ERR_NOT_FOUND', message, options);
  }
}

/** The version exists but no node can take the request now. */
export class NoNodeError extends SwarmError {
  constructor(message: string, options?: SwarmErrorOptions) {
    super('ERR_NO_NODE', message, options);
  }
}

/** The other side's policy does not serve this publisher or caller. */
export class ForbiddenError extends SwarmError {
  constructor(message: string, options?: SwarmErrorOptions) {
    super('ERR_FORBIDDEN', message, options);
  }
}

/** The node's queue is full: try another node, or this one after `details.retryAfterMs`. */
export class BusyError extends SwarmError {
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number, options: SwarmErrorOptions = {}) {
    super('ERR_BUSY', message, { ...options, details: { ...options.details, retryAfterMs } });
    this.retryAfterMs = retryAfterMs;
  }
}

/** The node is still loading the version; `details.etaMs` estimates the rest, null when unknown. */
export class LoadingError extends SwarmError {
  readonly etaMs: number | null;

  constructor(message: string, etaMs: number | null, options: SwarmErrorOptions = {}) {
    super('ERR_LOADING', message, { ...options, details: { ...options.details, etaMs } });
    this.etaMs = etaMs;
  }
}

/** Something is larger, longer or more numerous than a bound of docs/limits.md. */
export class LimitError extends SwarmError {
  constructor(message: string, options?: SwarmErrorOptions) {
    super('ERR_LIMIT', message, options);
  }
}

/** Which part of a call ran out of time. */
export type DeadlinePhase =
  | 'resolve'
  | 'dial'
  | 'queue'
  | 'first-byte'
  | 'execute'
  | 'total'
  | 'fetch'
  | 'start';

/** Time ran out; `phase` says in which part of the call. */
export class DeadlineError extends SwarmError {
  readonly phase: DeadlinePhase;

  constructor(message: string, phase: DeadlinePhase, options: SwarmErrorOptions = {}) {
    super('ERR_DEADLINE', message, { ...options, details: { ...options.details, phase } });
    this.phase = phase;
  }
}

/** The transport failed: could not dial, the stream was reset, the peer went silent. */
export class ConnectionError extends SwarmError {
  constructor(message: string, options?: SwarmErrorOptions) {
    super('ERR_CONNECTION', message, options);
  }
}

/** Bytes do not match their hash. */
export class CorruptError extends SwarmError {
  constructor(message: string, options?: SwarmErrorOptions) {
    super('ERR_CORRUPT', message, options);
  }
}

/** The local disk store refused: full, locked by another process, unreadable. */
export class StoreError extends SwarmError {
  constructor(message: string, options?: SwarmErrorOptions) {
    super('ERR_STORE', message, options);
  }
}

/** The model failed while it ran: the backend threw, crashed, or was stopped past its time limit. */
export class ExecutionError extends SwarmError {
  constructor(message: string, options?: SwarmErrorOptions) {
    super('ERR_EXECUTION', message, options);
  }
}

/** Nodes of different owners gave different answers to one request, and no answer has more than half of them behind it. */
export class DisagreementError extends SwarmError {
  constructor(message: string, options?: SwarmErrorOptions) {
    super('ERR_DISAGREEMENT', message, options);
  }
}

/** A bug on the other side: nothing the caller did. */
export class InternalError extends SwarmError {
  constructor(message: string, options?: SwarmErrorOptions) {
    super('ERR_INTERNAL', message, options);
  }
}

/** True for any error of this package, also one from another copy of it. */
export function isSwarmError(error: unknown): error is SwarmError {
  return (
    error instanceof SwarmError ||
    (error instanceof Error &&
      typeof (error as { code?: unknown }).code === 'string' &&
      String((error as { code?: unknown }).code).startsWith('ERR_') &&
      'details' in error)
  );
}
