import { DeadlineError } from '../../protocols/errors.ts';
import type { CommandContext } from './command-context.ts';

/**
 * Runs a call that `--deadline` bounds.
 *
 * @throws {ERR_DEADLINE} naming `what` was not done, when the time ran out before anybody told the command to end.
 */
export async function withDeadline<T>(
  { signal, settings: { deadlineMs } }: Pick<CommandContext, 'signal' | 'settings'>,
  what: string,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const timeout = AbortSignal.timeout(deadlineMs);
  try {
    return await call(AbortSignal.any([signal, timeout]));
  } catch (error) {
    if (!timeout.aborted || signal.aborted) throw error;
    throw new DeadlineError(`${what} was not done within ${deadlineMs} ms (--deadline)`, 'total', {
      cause: error,
    });
  }
}
