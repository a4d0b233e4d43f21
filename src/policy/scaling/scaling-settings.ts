import { InvalidInputError } from '../../../protocols/errors.ts';
import type { Resolved } from '../../../protocols/types.ts';

/** Milliseconds over which demand is averaged to be followed. As Knative's `stable-window`. */
export const DEFAULT_STABLE_WINDOW_MS = 60_000;

/** Milliseconds over which a crowd is noticed. As Knative's `panic-window-percentage` of 10. */
export const DEFAULT_PANIC_WINDOW_MS = 6_000;

/** Times what the replicas can do from which the short window rules. As Knative's `panic-threshold-percentage` of 200. */
export const DEFAULT_PANIC_THRESHOLD = 2;

/** Share of what a replica can do that it is meant to do. As Knative's `container-concurrency-target-percentage`. */
export const DEFAULT_TARGET_UTILISATION = 0.7;

/** Milliseconds between two looks of one node at its plan. As Knative's `tick-interval`. */
export const DEFAULT_TICK_MS = 2_000;

/** Milliseconds for which more must be wanted before anybody loads, but in panic: three looks. Ray Serve waits up to 30 s. */
export const DEFAULT_UP_DELAY_MS = 6_000;

/** Milliseconds for which less must be wanted before anybody leaves. As Kubernetes' `--horizontal-pod-autoscaler-downscale-stabilization`. */
export const DEFAULT_DOWN_DELAY_MS = 300_000;

/** Milliseconds over which those who might claim are spread, so that the later hear of the earlier: some gossip hops. */
export const DEFAULT_CLAIM_SPREAD_MS = 1_000;

/** Milliseconds between two notices about one version. */
export const DEFAULT_RECRUIT_INTERVAL_MS = 10_000;

/** Times as good as before the worst-served version must be predicted to be before a replica moves. As Petals' balance quality of 0.75. */
export const DEFAULT_MOVE_GAIN = 1.25;

/** Share of the free disks that is filled with weights nobody serves yet. */
export const DEFAULT_PREFETCH_SHARE = 0.25;

/** Versions that a node loads or fetches at a time. */
export const DEFAULT_MAX_LOADING = 1;

/** Windows, delays and shares of the plan. */
export interface ScalingInit {
  /** Milliseconds over which demand is averaged to be followed. @default 60000 */
  readonly stableWindowMs?: number | undefined;
  /** Milliseconds over which a crowd is noticed, at most `stableWindowMs`. @default 6000 */
  readonly panicWindowMs?: number | undefined;
  /** Times what the replicas can do from which the panic window rules, at least 1. @default 2 */
  readonly panicThreshold?: number | undefined;
  /** Share of what a replica can do that it is meant to do, above 0, at most 1. @default 0.7 */
  readonly targetUtilisation?: number | undefined;
  /** Milliseconds between two looks at the plan. @default 2000 */
  readonly tickMs?: number | undefined;
  /** Milliseconds for which more must be wanted before anybody loads; 0 is at once. @default 6000 */
  readonly upDelayMs?: number | undefined;
  /** Milliseconds for which less must be wanted before anybody leaves; also how long nobody leaves after a load, and nobody claims without need after a leave. @default 300000 */
  readonly downDelayMs?: number | undefined;
  /** Milliseconds over which claims are spread; 0 for none. @default 1000 */
  readonly claimSpreadMs?: number | undefined;
  /** Milliseconds between two recruit notices about one version. @default 10000 */
  readonly recruitIntervalMs?: number | undefined;
  /** Times as good as before a move must make the worst-served version, at least 1. @default 1.25 */
  readonly moveGain?: number | undefined;
  /** Share of the free disks that is filled ahead of need; 0 turns prefetching off. @default 0.25 */
  readonly prefetchShare?: number | undefined;
  /** Versions that one node loads or fetches at a time. @default 1 */
  readonly maxLoading?: number | undefined;
}

export type ScalingSettings = Resolved<ScalingInit>;

const DAY_MS = 86_400_000;

/** Of each field: the default, the least and the most. */
const FIELDS: Readonly<Record<keyof ScalingInit, readonly [number, number, number]>> = {
  stableWindowMs: [DEFAULT_STABLE_WINDOW_MS, 100, 3_600_000],
  panicWindowMs: [DEFAULT_PANIC_WINDOW_MS, 10, 3_600_000],
  panicThreshold: [DEFAULT_PANIC_THRESHOLD, 1, 1_000],
  targetUtilisation: [DEFAULT_TARGET_UTILISATION, 0.01, 1],
  tickMs: [DEFAULT_TICK_MS, 10, 60_000],
  upDelayMs: [DEFAULT_UP_DELAY_MS, 0, 3_600_000],
  downDelayMs: [DEFAULT_DOWN_DELAY_MS, 0, DAY_MS],
  claimSpreadMs: [DEFAULT_CLAIM_SPREAD_MS, 0, 60_000],
  recruitIntervalMs: [DEFAULT_RECRUIT_INTERVAL_MS, 100, 3_600_000],
  moveGain: [DEFAULT_MOVE_GAIN, 1, 1_000],
  prefetchShare: [DEFAULT_PREFETCH_SHARE, 0, 1],
  maxLoading: [DEFAULT_MAX_LOADING, 1, 64],
};

/**
 * Fills the defaults in.
 *
 * @throws {ERR_INVALID_INPUT} when a field is out of its range, milliseconds or `maxLoading` are no whole number, or the panic
 * window is longer than the stable one.
 */
export function resolveScalingInit(init: ScalingInit = {}): ScalingSettings {
  const names = Object.keys(FIELDS) as (keyof ScalingInit)[];
  const entries = names.map((name) => {
    const [fallback, least, most] = FIELDS[name];
    const value = init[name] ?? fallback;
    const whole = isWhole(name);
    if (!(value >= least && value <= most) || (whole && !Number.isInteger(value))) {
      const kind = whole ? 'a whole number, ' : '';
      throw new InvalidInputError(`${name} is ${value}, expected ${kind}${least} to ${most}`);
    }
    return [name, value] as const;
  });
  const settings = Object.fromEntries(entries) as unknown as ScalingSettings;
  if (settings.panicWindowMs > settings.stableWindowMs) {
    throw new InvalidInputError(
      `panicWindowMs is ${settings.panicWindowMs}, expected at most stableWindowMs of ${settings.stableWindowMs}`,
    );
  }
  return settings;
}

/** What is counted, and what digests carry as integers: a fraction of a millisecond would make every one of them invalid. */
function isWhole(name: keyof ScalingInit): boolean {
  return name.endsWith('Ms') || name === 'maxLoading';
}
