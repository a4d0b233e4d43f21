/**
 * Milliseconds without a request before a version that no channel points at leaves memory: a rollback soon after an update finds it
 * loaded, and its files whole.
 */
export const RETIRE_AFTER_MS = 10 * 60_000;

/** What may be set instead: a second, to thirty days. */
export const RETIRE_RANGE_MS = [1_000, 30 * 24 * 3_600_000] as const;

/** A loaded version, as far as it matters to whether it stays so. */
export interface RetirementCandidate {
  /** Whether a channel points at it, or a guard may fall back to it at any moment; also true when that is not known. */
  readonly current: boolean;
  /** Whether requests are in it or expected. */
  readonly busy: boolean;
  /** Milliseconds since its last request or its load. */
  readonly idleMs: number;
}

/** Whether a version leaves memory: nobody is sent to it any more, and who still names it by its CID can wait for a load. */
export function isRetirable(
  { current, busy, idleMs }: RetirementCandidate,
  retireAfterMs: number,
): boolean {
  return !current && !busy && idleMs >= retireAfterMs;
}

/** Milliseconds between two looks at what has been idle for so long: a half of that, and no more than so much. */
export function lookIntervalMs(idleMs: number, mostMs: number): number {
  return Math.min(mostMs, idleMs / 2);
}
