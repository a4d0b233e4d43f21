import { ConfigError } from '../../protocols/errors.ts';
import type { ListenAddress } from '../swarm/listen-address.ts';

/** How many nodes there may be, and how fast fewer are wanted. */
export interface FleetInit {
  /** Nodes there are at least. */
  readonly min: number;
  /** Nodes there are at most. */
  readonly max: number;
  /** Milliseconds for which the most that was needed stays ordered. @default 300000 */
  readonly coolDownMs?: number | undefined;
}

/** Who is told how many nodes there are to be, by a peer that has no other servers for it. */
export interface FleetServiceInit {
  /** How many nodes there may be. @default nobody is told, and metrics say `NaN` */
  readonly fleet?: FleetInit | undefined;
  /** Who is told: an address that gets a POST, or a program; needs `fleet`. @default nobody */
  readonly provision?: string | undefined;
  /** Where KEDA's external scaler is served, as plain gRPC; needs `fleet`. @default nowhere */
  readonly grpc?: ListenAddress | undefined;
  /** Where Prometheus reads how many nodes there are and are to be, and the metrics of the process. @default nowhere */
  readonly metrics?: ListenAddress | undefined;
}

/** @throws {ERR_CONFIG} when somebody is to be told a number that nobody makes up. */
export function checkFleetInit({ fleet, provision, grpc }: FleetServiceInit): void {
  if (fleet !== undefined) return;
  if (provision !== undefined) {
    throw new ConfigError('--provision is set without --fleet-max, expected both');
  }
  if (grpc !== undefined) {
    throw new ConfigError(
      '--grpc is set without --fleet-max, expected both: KEDA asks for nothing else',
    );
  }
}
