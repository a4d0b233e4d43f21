import type { Logger } from 'pino';
import { DEFAULT_NETWORK, parseNetwork } from '../protocols/protocol-id.ts';
import type { Resolved } from '../protocols/types.ts';
import { checkFleetInit, type FleetServiceInit } from '../src/fleet/fleet-init.ts';
import { checkBootstrapAddresses } from '../src/swarm/peer.ts';

/** Where a bootstrap server listens when nothing is said: the port libp2p's own programs use. */
export const DEFAULT_LISTEN = '/ip4/0.0.0.0/tcp/4001';

/** Connections a bootstrap server keeps; each costs some 100 KB, and peers that found each other need it no more. */
export const DEFAULT_MAX_CONNECTIONS = 2_000;

export interface BootstrapInit extends FleetServiceInit {
  /** Folder that holds the server's key and DHT records; made when missing. */
  readonly dataDir: string;
  /** Multiaddrs to listen on. @default ['/ip4/0.0.0.0/tcp/4001'] */
  readonly listen?: readonly string[] | undefined;
  /** Multiaddrs to announce instead of those listened on, such as `/dns4/swarm.example.org/tcp/4001`. @default those listened on */
  readonly announce?: readonly string[] | undefined;
  /** Multiaddrs with `/p2p/<id>` of other bootstrap servers. @default [] */
  readonly bootstrap?: readonly string[] | undefined;
  /** Name of the swarm. @default 'main' */
  readonly network?: string | undefined;
  /** Find peers on the local network. @default true */
  readonly mdns?: boolean | undefined;
  /** Connections at most. @default 2000 */
  readonly maxConnections?: number | undefined;
  readonly logger: Logger;
}

/** {@link BootstrapInit} with every default filled in. */
export type ResolvedBootstrapInit = Resolved<
  Omit<BootstrapInit, 'announce' | keyof FleetServiceInit>
> &
  Pick<BootstrapInit, 'announce' | keyof FleetServiceInit>;

/**
 * Fills in defaults.
 *
 * @throws {ERR_CONFIG} naming the field that is wrong.
 */
export function resolveBootstrapInit(init: BootstrapInit): ResolvedBootstrapInit {
  checkFleetInit(init);
  return {
    dataDir: init.dataDir,
    listen: init.listen ?? [DEFAULT_LISTEN],
    announce: init.announce,
    bootstrap: checkBootstrapAddresses(init.bootstrap ?? []),
    network: parseNetwork(init.network ?? DEFAULT_NETWORK),
    mdns: init.mdns ?? true,
    maxConnections: init.maxConnections ?? DEFAULT_MAX_CONNECTIONS,
    logger: init.logger,
    ...{ fleet: init.fleet, provision: init.provision, grpc: init.grpc, metrics: init.metrics },
  };
}
