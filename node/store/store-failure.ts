import { isSwarmError, StoreError } from '../../protocols/errors.ts';

/** The system's or LevelDB's word for a failure, such as `ENOSPC` or `LEVEL_LOCKED`. */
export function failureCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : undefined;
}

/**
 * What a failed disk operation is thrown as: errors of ours stay what they are, the rest become ERR_STORE.
 *
 * @param doing What failed, as the beginning of a sentence: `version x cannot be written`.
 */
export function storeFailure(doing: string, cause: unknown): Error {
  if (cause instanceof Error && isSwarmError(cause)) return cause;
  const code = failureCode(cause);
  const advice = code === undefined ? undefined : ADVICE[code];
  const reason = code ?? (cause instanceof Error ? cause.message : String(cause));
  const text = advice === undefined ? `${doing}: ${reason}` : `${doing}: ${advice} (${reason})`;
  return new StoreError(text, { cause, details: code === undefined ? {} : { reason: code } });
}

const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full, free some room',
  EDQUOT: "the user's share of the disk is used up, free some room",
  EACCES: 'this user may not do that there, check who owns the folder',
  EPERM: 'this user may not do that there, check who owns the folder',
  EROFS: 'the disk is mounted read-only',
  EMFILE: 'this process has too many files open, raise its limit (ulimit -n)',
  EIO: 'the disk fails, look into the log of the system',
  LEVEL_CORRUPTION: 'the index is damaged',
  LEVEL_DATABASE_NOT_OPEN: 'the store is closed',
};
