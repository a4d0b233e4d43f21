import { z } from 'zod';
import type { Resolved } from '../types.ts';

/**
 * When a version is given up without its publisher: clients then use the channel's `previous` version until the publisher
 * acts. What is absent takes its default.
 */
export interface ReleaseGuard {
  /** Share of the version's requests that may fail, from 0 to 1; it trips above, unless `previous` fails nearly as often. @default 0.05 */
  readonly maxErrorRate?: number | undefined;
  /** Median time in the model over that of `previous`, as the same peers last measured it, from 1 to 1000; it trips above. @default 2 */
  readonly maxLatencyRatio?: number | undefined;
  /** Requests of the version within the window below which nothing trips, 1 to 1 000 000. @default 100 */
  readonly minSamples?: number | undefined;
  /** Distinct peers that must each have seen it bad, 2 to 1000: one may lie. @default 3 */
  readonly minReporters?: number | undefined;
  /** Milliseconds back that count, 1000 to 86 400 000. @default 60000 */
  readonly windowMs?: number | undefined;
}

export type ResolvedReleaseGuard = Resolved<ReleaseGuard>;

/** What a guard is made of when its publisher does not say: bad enough that a person would act, sure enough to do so alone. */
export const DEFAULT_GUARD: ResolvedReleaseGuard = {
  maxErrorRate: 0.05,
  maxLatencyRatio: 2,
  minSamples: 100,
  minReporters: 3,
  windowMs: 60_000,
};

export const guardSchema = z.object({
  maxErrorRate: z.number().min(0).max(1).optional(),
  maxLatencyRatio: z.number().min(1).max(1000).optional(),
  minSamples: z.int().min(1).max(1_000_000).optional(),
  minReporters: z.int().min(2).max(1000).optional(),
  windowMs: z.int().min(1_000).max(86_400_000).optional(),
});

/** Fills the defaults in. */
export function resolveGuard(guard: ReleaseGuard): ResolvedReleaseGuard {
  return {
    maxErrorRate: guard.maxErrorRate ?? DEFAULT_GUARD.maxErrorRate,
    maxLatencyRatio: guard.maxLatencyRatio ?? DEFAULT_GUARD.maxLatencyRatio,
    minSamples: guard.minSamples ?? DEFAULT_GUARD.minSamples,
    minReporters: guard.minReporters ?? DEFAULT_GUARD.minReporters,
    windowMs: guard.windowMs ?? DEFAULT_GUARD.windowMs,
  };
}
