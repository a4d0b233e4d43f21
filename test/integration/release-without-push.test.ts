import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { multiaddr } from '@multiformats/multiaddr';
import { describe, expect, it, onTestFinished } from 'vitest';
import { releaseKey, setChannel, signRelease } from '../../protocols/release/index.ts';
import type { PublisherId, VersionCid } from '../../protocols/types.ts';
import type { SwarmClient } from '../../src/index.ts';
import { peerIdText } from '../../src/swarm/identity.ts';
import { createSwarmLibp2p, type SwarmLibp2p } from '../../src/swarm/libp2p.ts';
import { RecordStore } from '../../src/swarm/record-store.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

/** What is promised of a move. */
const BOUND_MS = 5_000;

const cid = 'bafyreigfgobggyyn37zoptjtamrw7nuql7qmdocz4nirtx5adrznfpwgme' as VersionCid;
const other = 'bafyreihvonnydrqxvsrgvygqzkkt3gsqoi37bjbr4yeclgb6c6l6yhpdbq' as VersionCid;

/** A server of the DHT that joins no gossip topic, and its records. */
class DhtServer {
  readonly libp2p: SwarmLibp2p;
  readonly records: RecordStore;

  static async start(testnet: Testnet, name: string): Promise<DhtServer> {
    const records = await RecordStore.open(path.join(testnet.folder, name));
    const libp2p = await createSwarmLibp2p({
      network: testnet.network,
      privateKey: await generateKeyPair('Ed25519'),
      dhtMode: 'server',
      listen: ['/ip4/127.0.0.1/tcp/0'],
      datastore: records.datastore,
      sequences: records.sequences,
    });
    onTestFinished(async () => {
      await libp2p.stop();
      await records.close();
    });
    return new DhtServer(libp2p, records);
  }

  private constructor(libp2p: SwarmLibp2p, records: RecordStore) {
    this.libp2p = libp2p;
    this.records = records;
  }
}

/** Resolves a reference again and again until it is told to end; what each that began came to. */
function resolveOn(client: SwarmClient, reference: string) {
  const seen: { readonly begunAtMs: number; readonly sequence: number }[] = [];
  let running = true;
  const looking = (async () => {
    while (running) {
      const begunAtMs = performance.now();
      seen.push({ begunAtMs, sequence: (await client.resolve(reference)).sequence });
      await delay(20);
    }
  })();
  return {
    seen,
    stop: async () => {
      running = false;
      await looking;
    },
  };
}

describe('A move that nobody is told of', () => {
  it('is followed within 5 s of its put by clients in use, full and light', async () => {
    await using testnet = await createTestnet({ nodes: 0, clients: 0 });
    const publisher = peerIdText(testnet.publisherKey) as PublisherId;
    const model = { publisher, name: 'unheard' };
    const first = setChannel(undefined, { ...model, channel: 'stable', cid, nowMs: Date.now() });
    const second = setChannel(first, {
      ...{ ...model, channel: 'stable', nowMs: Date.now() },
      cid: other,
    });
    const key = releaseKey(publisher, model.name);
    const peer = await testnet.addPeer();

    const holder = await DhtServer.start(testnet, 'holder');
    for (const address of testnet.bootstrapAddresses) await holder.libp2p.dial(multiaddr(address));
    await expect
      .poll(async () => {
        const closest: string[] = [];
        for await (const event of peer.libp2p.services.dht.getClosestPeers(key)) {
          if (event.name === 'FINAL_PEER') closest.push(event.peer.id.toString());
        }
        return closest;
      })
      .toContain(holder.libp2p.peerId.toString());
    // Alone, a server puts a record with itself and with nobody else.
    const aside = await DhtServer.start(testnet, 'aside');
    const bytes = await signRelease(second, testnet.publisherKey);
    for await (const _event of aside.libp2p.services.dht.put(key, bytes)) {
      // Only its own copy matters.
    }

    await peer.releases.publish(await signRelease(first, testnet.publisherKey));
    const clients = await Promise.all(
      (['full', 'light'] as const).map((mode) => testnet.addClient({ mode })),
    );
    const looks = clients.map((client) => resolveOn(client, `${publisher}/${model.name}@stable`));
    await expect.poll(() => looks.every(({ seen }) => seen.at(-1)?.sequence === 1)).toBe(true);
    for await (const pair of aside.records.datastore.query({ prefix: '/dht' })) {
      await holder.records.datastore.put(pair.key, pair.value);
    }
    const putAtMs = performance.now();
    const late = ({ begunAtMs }: { begunAtMs: number }) => begunAtMs > putAtMs + BOUND_MS;
    await expect
      .poll(() => looks.every(({ seen }) => seen.some(late)), { timeout: 15_000 })
      .toBe(true);
    await Promise.all(looks.map((look) => look.stop()));
    for (const { seen } of looks) {
      expect(seen.filter(late).map(({ sequence }) => sequence)).toEqual(
        seen.filter(late).map(() => 2),
      );
    }
  });
});
