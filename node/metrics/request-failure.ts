import { type ErrorCode, isSwarmError } from '../../protocols/errors.ts';

/** How a request failed, in as few words as an operator can act on. */
export type RequestFailure =
  | 'invalid'
  | 'too-large'
  | 'forbidden'
  | 'not-found'
  | 'loading'
  | 'busy'
  | 'deadline'
  | 'execution'
  | 'internal';

const FAILURES: Readonly<Partial<Record<ErrorCode, RequestFailure>>> = {
  ERR_INVALID_INPUT: 'invalid',
  ERR_INVALID_MESSAGE: 'invalid',
  ERR_LIMIT: 'too-large',
  ERR_FORBIDDEN: 'forbidden',
  ERR_NOT_FOUND: 'not-found',
  ERR_LOADING: 'loading',
  ERR_BUSY: 'busy',
  ERR_DEADLINE: 'deadline',
  ERR_EXECUTION: 'execution',
};

/** What an error says of how its request failed; one that nobody foresaw is this node's own fault. */
export function failureOf(error: unknown): RequestFailure {
  return (isSwarmError(error) ? FAILURES[error.code] : undefined) ?? 'internal';
}
