/** A node that loads a version which nobody serves yet. */
export interface LoadUnderWay {
  /** Milliseconds until it is READY, by its own word; null when it says nothing. */
  readonly etaMs: number | null;
  /** Milliseconds for which it has been loading, as far as is known. */
  readonly forMs: number;
}

/** Milliseconds for which a load is waited for where it does not say how long it takes, and at least. */
const MIN_PATIENCE_MS = 15_000;

/** Times as long as it said that a load may take before it counts as stuck. */
const ETA_PATIENCE = 3;

/** How much sooner a second load must be READY to be worth the memory: half the time, and a second. */
const SOONER_TIMES = 2;
const SOONER_MS = 1_000;

/**
 * Whether a version is worth loading from a disk while others load it: of those who ask at once one node is woken and not many,
 * but nobody waits for a fetch of minutes where the files are there, nor for a load that is stuck.
 *
 * @param coldEtaMs milliseconds that the load would take; null when unknown
 */
export function isWorthWaking(
  coldEtaMs: number | null,
  underWay: readonly LoadUnderWay[],
): boolean {
  const awaited = underWay.filter(({ etaMs, forMs }) => {
    return forMs < Math.max(MIN_PATIENCE_MS, ETA_PATIENCE * (etaMs ?? 0));
  });
  if (awaited.length === 0) return true;
  const etaMs = soonestMs(awaited);
  return coldEtaMs !== null && etaMs !== null && etaMs > SOONER_TIMES * coldEtaMs + SOONER_MS;
}

/** Milliseconds until the first of them is READY; null when none says. */
export function soonestMs(underWay: readonly Pick<LoadUnderWay, 'etaMs'>[]): number | null {
  const etas = underWay.flatMap(({ etaMs }) => etaMs ?? []);
  return etas.length === 0 ? null : Math.min(...etas);
}
