import { generateKeyPair } from '@libp2p/crypto/keys';
import type { PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { signAnnouncement, signOwnerCertificate } from '../../protocols/capacity/index.ts';
import { createMemorySequenceStore } from '../../protocols/release/index.ts';
import type {
  LoadReport,
  NodeId,
  OwnerId,
  PublisherId,
  VersionCid,
} from '../../protocols/types.ts';
import { SwarmPeer, type SwarmPeerInit } from '../../src/swarm/peer.ts';

/** Who published what announced peers say that they hold. */
export const PUBLISHER = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5' as PublisherId;

export const IDLE: LoadReport = { inFlight: 0, queued: 0, slots: 1, serviceMs: 5 };

/** Milliseconds: no test sees a lease end that it does not set. */
const LONG_LEASE_MS = 600_000;

/** Milliseconds that a peer which says it loads a version says it takes. */
const LOADING_MS = 60_000;

export interface AnnouncedPeerInit extends Partial<SwarmPeerInit> {
  /** The key of its owner. @default its own */
  readonly ownerKey?: PrivateKey | undefined;
}

/** What it says of a version; what is absent is READY and idle. */
export interface AnnouncedVersion {
  readonly name?: string;
  readonly state?: 'ready' | 'loading';
  readonly load?: LoadReport;
}

/** A peer that says it is a node, when a test has it say so. */
export interface AnnouncedPeer extends AsyncDisposable {
  readonly id: NodeId;
  readonly owner: OwnerId;
  readonly peer: SwarmPeer;
  /** Signs that it holds a version, with the next sequence, and gives the bytes to whom it is told. */
  announce(
    cid: VersionCid,
    hearers?: readonly SwarmPeer[],
    version?: AnnouncedVersion,
  ): Promise<Uint8Array>;
}

export async function createAnnouncedPeer(
  network: string,
  { ownerKey, ...init }: AnnouncedPeerInit = {},
): Promise<AnnouncedPeer> {
  const privateKey = init.privateKey ?? (await generateKeyPair('Ed25519'));
  const peer = await startLonePeer(network, {
    listen: ['/ip4/127.0.0.1/tcp/0'],
    ...init,
    privateKey,
  });
  const owners = ownerKey ?? privateKey;
  const owner = peerIdFromPrivateKey(owners).toString() as OwnerId;
  const ownerCertificate = await signOwnerCertificate(peer.id, owners);
  let sequence = Date.now();
  return {
    ...{ id: peer.id, owner, peer },
    async announce(cid, hearers = [], { name = 'held', state = 'ready', load = IDLE } = {}) {
      sequence += 1;
      const etaMs = state === 'loading' ? { etaMs: LOADING_MS } : {};
      const announcement = {
        ...{ node: peer.id, sequence, leaseMs: LONG_LEASE_MS, zone: '', agent: 'test' },
        addresses: peer.libp2p
          .getMultiaddrs()
          .map((address) => address.decapsulate('/p2p').toString()),
        ...{ owner, ownerCertificate, state: 'serving' as const },
        ...{ devices: [], memoryTotalBytes: 0, memoryFreeBytes: 0 },
        versions: [{ cid, publisher: PUBLISHER, name, state, load, ...etaMs }],
      };
      const bytes = await signAnnouncement(announcement, privateKey);
      for (const hearer of hearers) hearer.view.add(announcement, bytes, Date.now());
      return bytes;
    },
    [Symbol.asyncDispose]: () => peer.stop(),
  };
}

/** A peer that knows nobody, of a network of its own. */
export async function startLonePeer(
  network: string,
  init: Partial<SwarmPeerInit> = {},
): Promise<SwarmPeer> {
  return SwarmPeer.start({
    network,
    privateKey: init.privateKey ?? (await generateKeyPair('Ed25519')),
    dhtMode: 'client',
    bootstrap: [],
    sequences: createMemorySequenceStore(),
    ...init,
  });
}
