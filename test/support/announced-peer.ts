import { generateKeyPair } from '@libp2p/crypto/keys';
import type { PrivateKey } from '@libp2p/interface';
import { signAnnouncement, signOwnerCertificate } from '../../protocols/capacity/index.ts';
import { createMemorySequenceStore } from '../../protocols/release/index.ts';
import type { NodeId, OwnerId, PublisherId, VersionCid } from '../../protocols/types.ts';
import { SwarmPeer, type SwarmPeerInit } from '../../src/swarm/peer.ts';

const PUBLISHER = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5' as PublisherId;

/** Milliseconds: no test sees a lease end that it does not set. */
const LONG_LEASE_MS = 600_000;

/** A peer that says it is a node, when a test has it say so. */
export interface AnnouncedPeer extends AsyncDisposable {
  readonly id: NodeId;
  readonly peer: SwarmPeer;
  /** Signs that it holds a version, READY, with the next sequence, and gives the bytes to whom it is told. */
  announce(cid: VersionCid, hearers?: readonly SwarmPeer[]): Promise<Uint8Array>;
}

export async function createAnnouncedPeer(
  network: string,
  init: Partial<SwarmPeerInit> = {},
): Promise<AnnouncedPeer> {
  const privateKey: PrivateKey = init.privateKey ?? (await generateKeyPair('Ed25519'));
  const peer = await SwarmPeer.start({
    network,
    privateKey,
    dhtMode: 'client',
    bootstrap: [],
    listen: ['/ip4/127.0.0.1/tcp/0'],
    sequences: createMemorySequenceStore(),
    ...init,
  });
  const ownerCertificate = await signOwnerCertificate(peer.id, privateKey);
  let sequence = Date.now();
  return {
    id: peer.id,
    peer,
    async announce(cid, hearers = []) {
      sequence += 1;
      const load = { inFlight: 0, queued: 0, slots: 1, serviceMs: 5 };
      const announcement = {
        ...{ node: peer.id, sequence, leaseMs: LONG_LEASE_MS, zone: '', agent: 'test' },
        addresses: peer.libp2p
          .getMultiaddrs()
          .map((address) => address.decapsulate('/p2p').toString()),
        ...{ owner: peer.id as string as OwnerId, ownerCertificate, state: 'serving' as const },
        ...{ devices: [], memoryTotalBytes: 0, memoryFreeBytes: 0 },
        versions: [{ cid, publisher: PUBLISHER, name: 'held', state: 'ready' as const, load }],
      };
      const bytes = await signAnnouncement(announcement, privateKey);
      for (const hearer of hearers) hearer.view.add(announcement, bytes, Date.now());
      return bytes;
    },
    [Symbol.asyncDispose]: () => peer.stop(),
  };
}
