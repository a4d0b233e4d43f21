import { status } from '@grpc/grpc-js';
import { isSwarmError } from '../../protocols/errors.ts';

/** How an answer fails, in the words of gRPC that HTTP has a status for too. */
export type FailureKind =
  | 'invalid'
  | 'too-large'
  | 'unauthenticated'
  | 'forbidden'
  | 'not-found'
  | 'wrong-method'
  | 'exhausted'
  | 'unsupported'
  | 'unavailable'
  | 'deadline'
  | 'cancelled'
  | 'internal';

/** What a caller is told of a failure. */
export interface Failure {
  readonly kind: FailureKind;
  readonly message: string;
  /** Milliseconds after which it is worth trying again; undefined when it is not, or nobody knows. */
  readonly retryAfterMs?: number | undefined;
  /** The field of the request that it is about, where the protocol has a place for that. */
  readonly param?: string | undefined;
  /** Further headers of an HTTP answer. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** The gateway itself says no: a fault of the call, not of the swarm. */
export class GatewayRefusal extends Error implements Failure {
  readonly kind: FailureKind;
  readonly retryAfterMs: number | undefined;
  readonly param: string | undefined;
  readonly headers: Readonly<Record<string, string>> | undefined;

  constructor(kind: FailureKind, message: string, more: Partial<Failure> = {}) {
    super(message);
    this.name = 'GatewayRefusal';
    this.kind = kind;
    this.retryAfterMs = more.retryAfterMs;
    this.param = more.param;
    this.headers = more.headers;
  }
}

/** HTTP statuses as Triton gives them: what is not of its own kind is 400. */
const HTTP_STATUS: Readonly<Record<FailureKind, number>> = {
  invalid: 400,
  // OpenAI's API has a status for a body that is too large, in `formatOpenAiError`.
  'too-large': 400,
  unauthenticated: 401,
  forbidden: 403,
  'not-found': 404,
  'wrong-method': 405,
  exhausted: 429,
  unsupported: 501,
  unavailable: 503,
  deadline: 504,
  cancelled: 499,
  internal: 500,
};

/** @see https://github.com/grpc/grpc/blob/master/doc/statuscodes.md */
const GRPC_STATUS: Readonly<Record<FailureKind, status>> = {
  invalid: status.INVALID_ARGUMENT,
  'too-large': status.INVALID_ARGUMENT,
  unauthenticated: status.UNAUTHENTICATED,
  forbidden: status.PERMISSION_DENIED,
  'not-found': status.NOT_FOUND,
  'wrong-method': status.UNIMPLEMENTED,
  exhausted: status.RESOURCE_EXHAUSTED,
  unsupported: status.UNIMPLEMENTED,
  unavailable: status.UNAVAILABLE,
  deadline: status.DEADLINE_EXCEEDED,
  cancelled: status.CANCELLED,
  internal: status.INTERNAL,
};

export function httpStatus(kind: FailureKind): number {
  return HTTP_STATUS[kind];
}

export function grpcStatus(kind: FailureKind): status {
  return GRPC_STATUS[kind];
}

/** Any thrown value as what the caller is told. What is no error of ours is a bug, of which only that is told. */
export function failureOf(error: unknown): Failure {
  if (error instanceof GatewayRefusal) return error;
  if (error instanceof Error && error.name === 'AbortError') {
    return { kind: 'cancelled', message: 'the call was cancelled' };
  }
  // What a signal with a timeout is aborted with: the steps before an inference are bounded so.
  if (error instanceof Error && error.name === 'TimeoutError') {
    return { kind: 'deadline', message: 'the swarm has not answered in time' };
  }
  if (!isSwarmError(error)) return { kind: 'internal', message: 'internal error' };
  const { message } = error;
  const { retryAfterMs, etaMs } = error.details;
  const after = retryAfterMs ?? etaMs;
  switch (error.code) {
    case 'ERR_INVALID_INPUT':
    case 'ERR_LIMIT':
      return { kind: 'invalid', message };
    case 'ERR_FORBIDDEN':
      return { kind: 'forbidden', message };
    case 'ERR_NOT_FOUND':
      return { kind: 'not-found', message };
    case 'ERR_DEADLINE':
      return { kind: 'deadline', message };
    case 'ERR_NO_NODE':
    case 'ERR_BUSY':
    case 'ERR_LOADING':
    case 'ERR_CONNECTION':
      // Inference changes nothing, so it is always safe to ask again.
      return {
        kind: 'unavailable',
        message,
        retryAfterMs: typeof after === 'number' ? after : undefined,
      };
    default:
      return { kind: 'internal', message };
  }
}
