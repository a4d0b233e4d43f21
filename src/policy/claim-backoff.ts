import { doubledMs } from './doubling.ts';

/** Milliseconds for which a version is left to others that could not be brought up here the first time; twice that the next. */
export const CLAIM_BACKOFF_MS = 10_000;

/** Milliseconds of the longest. */
export const MAX_CLAIM_BACKOFF_MS = 10 * 60_000;

/** How long a node leaves a version to others after so many claims of it failed here in a row. */
export function claimBackoffMs(failures: number): number {
  return doubledMs(failures - 1, CLAIM_BACKOFF_MS, MAX_CLAIM_BACKOFF_MS);
}
