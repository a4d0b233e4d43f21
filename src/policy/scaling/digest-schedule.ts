import { totalPerS, type VersionDemand } from '../../../protocols/demand/index.ts';

/** Digests in each stable window of what stays as it was. */
const DIGESTS_PER_STABLE_WINDOW = 6;

/** Milliseconds between digests per reporter heard, so that those on a version come at most some five a second of its holders, and of all others. */
const INTERVAL_PER_REPORTER_MS = 200;

/** Share by which a rate must have changed to be told before its time. */
const NEWS_SHARE = 0.25;

/** Looks in a panic window, and milliseconds between two of them at most, at whether there is anything to tell. */
const LOOKS_PER_PANIC_WINDOW = 6;
const MAX_LOOK_INTERVAL_MS = 2_000;

type CountedDemand = Omit<VersionDemand, 'cid'>;

/** What was last told of a version, and when. */
export interface ToldDemand {
  readonly demand: CountedDemand;
  readonly atMs: number;
}

/** What the time between two digests depends on. */
export interface DigestPace {
  readonly stableWindowMs: number;
  /** Peers that tell of the version, the one that asks included: of a holder, the holders alone. */
  readonly reporters: number;
}

/**
 * Whether a peer is to tell of a version again: of a crowd that comes or goes soon, of what stays as it was now and then. That
 * it is asked for no more is told once, so that nobody waits for it to fade, and then `told` is to be forgotten.
 */
export function isDigestDue(
  told: ToldDemand | undefined,
  demand: CountedDemand,
  pace: DigestPace & { readonly nowMs: number },
): boolean {
  if (isIdle(demand)) return told !== undefined;
  if (told === undefined) return true;
  const sinceMs = pace.nowMs - told.atMs;
  if (sinceMs >= digestIntervalMs(pace)) return true;
  return sinceMs >= spacingMs(pace) && isNews(told.demand, demand);
}

/** Milliseconds between two looks at what was counted: a crowd is told of by the first look that it is news at. */
export function digestLookMs({ panicWindowMs }: { readonly panicWindowMs: number }): number {
  return Math.min(MAX_LOOK_INTERVAL_MS, panicWindowMs / LOOKS_PER_PANIC_WINDOW);
}

/** Milliseconds between two digests that say the same. */
export function digestIntervalMs(pace: DigestPace): number {
  return Math.round(Math.max(pace.stableWindowMs / DIGESTS_PER_STABLE_WINDOW, spacingMs(pace)));
}

/** Nobody has asked for it for a stable window, and nothing of what was asked for runs. */
export function isIdle({ stable, inFlight }: CountedDemand): boolean {
  return totalPerS(stable) === 0 && inFlight === 0;
}

/** Milliseconds between two digests on one version at least. */
function spacingMs({ reporters }: DigestPace): number {
  return INTERVAL_PER_REPORTER_MS * reporters;
}

/** Whether a crowd comes or goes: what is known is wrong by more than a plan should be. */
function isNews(told: CountedDemand, now: CountedDemand): boolean {
  const before = totalPerS(told.panic);
  return Math.abs(totalPerS(now.panic) - before) > NEWS_SHARE * before;
}
