import {
  DEFAULT_DOWN_DELAY_MS,
  DEFAULT_PANIC_WINDOW_MS,
  DEFAULT_STABLE_WINDOW_MS,
  DEFAULT_TICK_MS,
  DEFAULT_UP_DELAY_MS,
  type ScalingInit,
} from '../policy/scaling/scaling-settings.ts';
import type { SettingSpec } from './setting-spec.ts';

const SCALING_CHOICES = ['on', 'off'] as const;

/** How a node follows demand. */
export const SCALING_SETTINGS = {
  scaling: {
    kind: 'text',
    flags: '--scaling <mode>',
    env: 'SWARM_SCALING',
    about: "whether the node follows the swarm's demand, or holds only what publishers place on it",
    choices: SCALING_CHOICES,
    fallback: 'on',
  },
  stableWindowMs: {
    kind: 'integer',
    flags: '--stable-window <ms>',
    env: 'SWARM_STABLE_WINDOW_MS',
    about: 'milliseconds over which demand is averaged to be followed',
    range: [100, 3_600_000],
    fallback: DEFAULT_STABLE_WINDOW_MS,
  },
  panicWindowMs: {
    kind: 'integer',
    flags: '--panic-window <ms>',
    env: 'SWARM_PANIC_WINDOW_MS',
    about: 'milliseconds over which a crowd is noticed, at most those of --stable-window',
    range: [10, 3_600_000],
    fallback: DEFAULT_PANIC_WINDOW_MS,
  },
  scalingTickMs: {
    kind: 'integer',
    flags: '--scaling-tick <ms>',
    env: 'SWARM_SCALING_TICK_MS',
    about: 'milliseconds between two looks at what demand asks for',
    range: [10, 60_000],
    fallback: DEFAULT_TICK_MS,
  },
  upDelayMs: {
    kind: 'integer',
    flags: '--up-delay <ms>',
    env: 'SWARM_UP_DELAY_MS',
    about: 'milliseconds for which more must be wanted before the node loads, but in a crowd',
    range: [0, 3_600_000],
    fallback: DEFAULT_UP_DELAY_MS,
  },
  downDelayMs: {
    kind: 'integer',
    flags: '--down-delay <ms>',
    env: 'SWARM_DOWN_DELAY_MS',
    about: 'milliseconds for which less must be wanted before a replica leaves memory',
    range: [0, 86_400_000],
    fallback: DEFAULT_DOWN_DELAY_MS,
  },
} as const satisfies Readonly<Record<string, SettingSpec>>;

/** {@link SCALING_SETTINGS} as the commands read them. */
export interface ScalingSettings {
  readonly scaling: (typeof SCALING_CHOICES)[number];
  readonly stableWindowMs: number;
  readonly panicWindowMs: number;
  readonly scalingTickMs: number;
  readonly upDelayMs: number;
  readonly downDelayMs: number;
}

/** What the settings have a node do; false to follow no demand. */
export function scalingInit(settings: ScalingSettings): ScalingInit | false {
  return settings.scaling === 'off' ? false : scalingTimes(settings);
}

/** Over which times demand is followed, by a node or by whoever only looks. */
export function scalingTimes({
  stableWindowMs,
  panicWindowMs,
  scalingTickMs: tickMs,
  upDelayMs,
  downDelayMs,
}: Omit<ScalingSettings, 'scaling'>): ScalingInit {
  return { stableWindowMs, panicWindowMs, tickMs, upDelayMs, downDelayMs };
}
