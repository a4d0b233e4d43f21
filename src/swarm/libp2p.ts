import { gossipsub } from '@chainsafe/libp2p-gossipsub';
import { type Identify, identify } from '@libp2p/identify';
import type { ComponentLogger, Libp2p, Logger, PrivateKey } from '@libp2p/interface';
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht';
import { type Ping, ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import type { Datastore } from 'interface-datastore';
import { createLibp2p } from 'libp2p';
import { protocolId } from '../../protocols/protocol-id.ts';
import {
  createReleaseValidator,
  type ReleaseValidator,
  type SequenceStore,
  selectRelease,
} from '../../protocols/release/index.ts';
import { scoredTopics } from './gossip-score.ts';
import { lazyNoise } from './lazy-noise.ts';
import { lazyWebSockets } from './lazy-websockets.ts';
import { lazyYamux } from './lazy-yamux.ts';
import { nativeTls } from './native-tls.ts';

const HOURS = 3_600_000;

/** Provider records live 48 h, but only while the holder's peer store remembers the provider's addresses. */
const ADDRESS_AGE_MS = 48 * HOURS;

type GossipSub = ReturnType<ReturnType<typeof gossipsub>>;
type KadDht = ReturnType<ReturnType<typeof kadDHT>>;

/** The services every peer of the swarm runs. */
export type SwarmServices = {
  readonly identify: Identify;
  readonly ping: Ping;
  readonly dht: KadDht;
  readonly gossip: GossipSub;
};

export type SwarmLibp2p = Libp2p<SwarmServices>;

export interface SwarmLibp2pInit {
  readonly network: string;
  readonly privateKey: PrivateKey;
  /** `server` holds DHT records for others; `client` only asks. Servers must be dialable by the others. */
  readonly dhtMode: 'server' | 'client';
  /** Multiaddrs to listen on; none for a peer that only dials. @default [] */
  readonly listen?: readonly string[] | undefined;
  /** Multiaddrs to announce instead of those listened on. @default those listened on */
  readonly announce?: readonly string[] | undefined;
  /** Where DHT records and the peer store are kept; in memory when undefined. Opened and closed by the caller. */
  readonly datastore?: Datastore | undefined;
  /** The highest release sequence seen per key, which must outlive restarts where records do. */
  readonly sequences: SequenceStore;
  /** Decides which records the DHT takes; whoever else takes records shares it. @default one over `sequences` */
  readonly validateRelease?: ReleaseValidator | undefined;
  /** Told of every release record that passed the DHT's validator here. */
  readonly onRelease?: ((bytes: Uint8Array) => void) | undefined;
  /** Find peers of the same network on the local network. @default false */
  readonly mdns?: boolean | undefined;
  /** Connections at most. @default 300 */
  readonly maxConnections?: number | undefined;
}

/**
 * The libp2p stack that every peer of the swarm shares, started.
 *
 * Settings that bite by default are set here with their reason; see docs/dependencies.md for the libraries.
 */
export async function createSwarmLibp2p(init: SwarmLibp2pInit): Promise<SwarmLibp2p> {
  const listen = [...(init.listen ?? [])];
  const validateRelease =
    init.validateRelease ?? createReleaseValidator({ sequences: init.sequences });
  return createLibp2p<SwarmServices>({
    privateKey: init.privateKey,
    nodeInfo: { userAgent: 'gpu-swarm' },
    ...(init.datastore === undefined ? {} : { datastore: init.datastore }),
    addresses: { listen, ...(init.announce === undefined ? {} : { announce: [...init.announce] }) },
    transports: [tcp(), await lazyWebSockets(listen)],
    // TLS first: measured twice Noise's request rate. Noise stays for peers that lack TLS, browsers first of all.
    connectionEncrypters: [nativeTls(), lazyNoise()],
    streamMuxers: [lazyYamux()],
    ...(init.mdns === true
      ? {
          peerDiscovery: [
            (await import('@libp2p/mdns')).mdns({
              serviceTag: `_gpu-swarm-${init.network}._udp.local`,
            }),
          ],
        }
      : {}),
    connectionManager: {
      maxConnections: init.maxConnections ?? 300,
      // The default of 5 a second per address refuses a rack, a NAT or a test that starts at once.
      inboundConnectionThreshold: 100,
      maxIncomingPendingConnections: 100,
    },
    // The monitor aborts a connection at the first late ping: a machine busy for 5 s would lose all its requests.
    connectionMonitor: { abortConnectionOnPingFailure: false },
    connectionGater: { denyDialMultiaddr: () => false },
    peerStore: { maxAddressAge: ADDRESS_AGE_MS, maxPeerAge: ADDRESS_AGE_MS },
    logger: SILENT,
    services: {
      identify: identify(),
      ping: ping(),
      dht: kadDHT({
        protocol: protocolId(init.network, 'kad', '1.0.0'),
        clientMode: init.dhtMode === 'client',
        peerInfoMapper: passthroughMapper,
        // Below some 500 peers these answer three times faster than the defaults (20, 10, 10).
        kBucketSize: 8,
        alpha: 3,
        disjointPaths: 2,
        initialQuerySelfInterval: 100,
        allowQueryWithZeroPeers: true,
        validators: {
          release: async (key, value) => {
            await validateRelease(key, value);
            init.onRelease?.(value);
          },
        },
        selectors: { release: selectRelease },
      }),
      gossip: gossipsub({
        // Announcements carry their own signature, which relayed snapshots need too: signing twice would only cost.
        globalSignaturePolicy: 'StrictNoSign',
        D: 4,
        Dlo: 3,
        Dhi: 8,
        emitSelf: false,
        allowPublishToZeroTopicPeers: true,
        // A release record reaches a peer by more ways than one, and each passes it on.
        ignoreDuplicatePublishError: true,
        maxInboundDataLength: 256 * 1024,
        maxOutboundBufferSize: 4 * 1024 * 1024,
        // By default more than 14 peers behind one address silence each other: a lab, a NAT, a test.
        scoreParams: { IPColocationFactorWeight: 0, topics: scoredTopics(init.network) },
      }),
    },
  });
}

const SILENT_LOG: Logger = Object.assign((): void => undefined, {
  enabled: false,
  trace: (): void => undefined,
  error: (): void => undefined,
  newScope: (): Logger => SILENT_LOG,
});

/** libp2p formats its log lines even when nobody reads them: 5 to 10 µs a message on the request path. */
const SILENT: ComponentLogger = { forComponent: () => SILENT_LOG };
