import { isSwarmError } from '../../protocols/errors.ts';

/** What can never work here, however often it is tried. */
export function isLasting(error: unknown): boolean {
  return (
    isSwarmError(error) &&
    ['ERR_INVALID_MODEL', 'ERR_INVALID_RECORD', 'ERR_LIMIT'].includes(error.code)
  );
}

/** What this node does not run, or nobody wants on it: nothing is wrong with the version. */
export function isForbidden(error: unknown): boolean {
  return isSwarmError(error) && error.code === 'ERR_FORBIDDEN';
}

/** What it says, for a note or a log. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
