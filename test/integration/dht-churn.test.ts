import { generateKeyPair } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { expect, test } from 'vitest';
import { createMemorySequenceStore, signRelease } from '../../protocols/release/index.ts';
import type { PublisherId, VersionCid } from '../../protocols/types.ts';
import { setVersion } from '../../src/client/release-editor.ts';
import { SwarmPeer } from '../../src/swarm/peer.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

const CID = 'bafyreihvonnydrqxvsrgvygqzkkt3gsqoi37bjbr4yeclgb6c6l6yhpdbq' as VersionCid;

/** Twice as many as a query begins with: they are often all among those that left. */
const DEPARTED = 16;

const RECORDS = 12;

test('SwarmPeer publishes and finds releases after most DHT servers that it knew have left', async () => {
  await using testnet = await createTestnet({ nodes: 0, clients: 0 });
  const publisherPeer = await testnet.addPeer();
  const servers = await Promise.all(Array.from({ length: DEPARTED }, () => startServer(testnet)));
  const dht = publisherPeer.libp2p.services.dht as { readonly routingTable?: { size: number } };
  for (const { libp2p } of servers) await publisherPeer.libp2p.dial(libp2p.getMultiaddrs());
  await expect.poll(() => dht.routingTable?.size, { timeout: 20_000 }).toBe(DEPARTED + 1);
  await Promise.all(servers.map((server) => server.stop()));

  const key = testnet.publisherKey;
  const publisher = peerIdFromPrivateKey(key).toString() as PublisherId;
  for (let index = 0; index < RECORDS; index += 1) {
    const name = `model-${index}`;
    const record = setVersion(undefined, {
      ...{ publisher, name, channel: 'stable', cid: CID, nowMs: Date.now() },
    });
    const signal = AbortSignal.timeout(20_000);
    const stored = await publisherPeer.releases.publish(await signRelease(record, key), { signal });
    expect({ name, stored }).toEqual({ name, stored: 1 });
    const found = await publisherPeer.releases.find(publisher, name, { fresh: true, signal });
    expect(found.record).toEqual(record);
  }
});

async function startServer({ network, bootstrapAddresses }: Testnet): Promise<SwarmPeer> {
  const peer = await SwarmPeer.start({
    network,
    privateKey: await generateKeyPair('Ed25519'),
    dhtMode: 'server',
    bootstrap: bootstrapAddresses,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    sequences: createMemorySequenceStore(),
  });
  await peer.connected(AbortSignal.timeout(10_000));
  return peer;
}
