import { DeadlineError, ExecutionError, isSwarmError } from '../../protocols/errors.ts';

/** What a request is rejected with: errors that callers know as they are, others as the model's. */
export function asExecutionError(error: unknown): Error {
  return isSwarmError(error) ? error : new ExecutionError('model failed', { cause: error });
}

/** Where the deadline found the request. */
export function lateError(phase: 'queue' | 'execute'): DeadlineError {
  return new DeadlineError(
    phase === 'queue'
      ? 'deadline passed while the request waited in the queue'
      : 'deadline passed while the model ran',
    phase,
  );
}

/** True when the execution was ended by its limit. */
export function wasStopped(error: unknown): boolean {
  return isSwarmError(error) && typeof error.details['limitMs'] === 'number';
}

/** True when the model's process died of the execution. */
export function endedProcess(error: unknown): boolean {
  return isSwarmError(error) && error.details['endedProcess'] === true;
}
