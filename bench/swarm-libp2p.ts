import { generateKeyPair } from '@libp2p/crypto/keys';
import type { Connection } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import { createMemorySequenceStore } from '../protocols/release/index.ts';
import { createSwarmLibp2p, type SwarmLibp2p } from '../src/swarm/libp2p.ts';

/** The network that both ends of a benchmark speak in. */
export const NETWORK = 'bench';

/** What the TLS of the others is compared with; a fall-back to Noise would be another measurement. */
const ENCRYPTION = '/tls/1.0.0';

/** The stack of every peer of a swarm, DHT and gossip running; one that listens does so on loopback, on a free port. */
export async function startLibp2p({
  listens,
}: {
  readonly listens: boolean;
}): Promise<SwarmLibp2p> {
  return createSwarmLibp2p({
    network: NETWORK,
    privateKey: await generateKeyPair('Ed25519'),
    dhtMode: listens ? 'server' : 'client',
    ...(listens ? { listen: ['/ip4/127.0.0.1/tcp/0'] } : {}),
    sequences: createMemorySequenceStore(),
  });
}

export function addressOf(libp2p: SwarmLibp2p): string {
  const [address] = libp2p.getMultiaddrs();
  if (address === undefined) throw new Error('expected libp2p to listen, found no address');
  return address.toString();
}

/** @throws when the connection is not over TLS. */
export async function dial(libp2p: SwarmLibp2p, address: string): Promise<Connection> {
  const connection = await libp2p.dial(multiaddr(address));
  const { encryption } = connection;
  if (encryption !== ENCRYPTION) throw new Error(`expected ${ENCRYPTION}, found ${encryption}`);
  return connection;
}
