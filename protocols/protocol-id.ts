import { ConfigError } from './errors.ts';

/** The network a peer belongs to when none is named. */
export const DEFAULT_NETWORK = 'main';

const NETWORK = /^[a-z0-9][a-z0-9-]{0,31}$/;

/**
 * Checks a network name: peers of different networks speak different protocol ids and never meet.
 *
 * @throws {ERR_CONFIG} when it is not 1 to 32 of `a-z 0-9 -`.
 */
export function parseNetwork(network: string): string {
  if (!NETWORK.test(network)) {
    throw new ConfigError(
      `network ${JSON.stringify(network.slice(0, 80))} is not valid, expected 1 to 32 of a-z, 0-9 and '-'`,
    );
  }
  return network;
}

/** `/gpu-swarm/<network>/<name>/<version>`, the id that a stream of that exchange is opened with. */
export function protocolId(network: string, name: string, version: string): string {
  return `/gpu-swarm/${network}/${name}/${version}`;
}

/** Whether a protocol id is one of a network's. */
export function isOfNetwork(id: string, network: string): boolean {
  return id.startsWith(`/gpu-swarm/${network}/`);
}
