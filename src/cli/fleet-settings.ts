import { ConfigError } from '../../protocols/errors.ts';
import type { FleetServiceInit } from '../fleet/fleet-init.ts';
import { DEFAULT_COOL_DOWN_MS } from '../policy/fleet-target.ts';
import type { SettingSpec } from './setting-spec.ts';

/** How many nodes there are to be, and who is told: by gateways and bootstrap servers. */
export const FLEET_SETTINGS = {
  fleetMin: {
    kind: 'integer',
    flags: '--fleet-min <n>',
    env: 'SWARM_FLEET_MIN',
    about: 'nodes that whoever is told how many there are to be is never told less than',
    range: [1, 100_000],
    fallback: 1,
  },
  fleetMax: {
    kind: 'integer',
    flags: '--fleet-max <n>',
    env: 'SWARM_FLEET_MAX',
    about:
      'say how many nodes demand takes, this many at most: to KEDA over gRPC, to Prometheus, to --provision; without it nobody is told',
    range: [1, 100_000],
  },
  coolDownMs: {
    kind: 'integer',
    flags: '--cool-down <ms>',
    env: 'SWARM_COOL_DOWN_MS',
    about: 'milliseconds for which the most nodes that were needed stay wanted',
    range: [1_000, 86_400_000],
    fallback: DEFAULT_COOL_DOWN_MS,
  },
  provision: {
    kind: 'text',
    flags: '--provision <hook>',
    env: 'SWARM_PROVISION',
    about:
      'who is told how many nodes there are to be: an http(s) address that gets a POST, or a program that gets the number',
  },
} as const satisfies Readonly<Record<string, SettingSpec>>;

/** {@link FLEET_SETTINGS} as the commands read them. */
export interface FleetSettings {
  readonly fleetMin: number;
  readonly fleetMax: number | undefined;
  readonly coolDownMs: number;
  readonly provision: string | undefined;
}

/** @throws {ERR_CONFIG} when there would have to be more nodes than there may, or an address to tell is none of HTTP. */
export function fleetInit({
  fleetMin: min,
  fleetMax: max,
  coolDownMs,
  provision,
}: FleetSettings): Pick<FleetServiceInit, 'fleet' | 'provision'> {
  // Every other text is the path of a program.
  if (provision !== undefined && /^(?!https?:)[a-z][a-z0-9+.-]*:\/\//i.test(provision)) {
    throw new ConfigError(
      `--provision is "${provision.slice(0, 80)}", expected an http(s) address or a program`,
    );
  }
  if (max === undefined) return { provision };
  if (min <= max) return { fleet: { min, max, coolDownMs }, provision };
  throw new ConfigError(`--fleet-min is ${min}, expected at most --fleet-max, ${max}`);
}
