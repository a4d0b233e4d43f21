import { mkdir, writeFile } from 'node:fs/promises';
import { generateKeyPair } from '@libp2p/crypto/keys';
import type { Stream } from '@libp2p/interface';
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { capacityTopic } from '../../protocols/capacity/topics.ts';
import { encodeManifest } from '../../protocols/manifest/index.ts';
import { protocolId } from '../../protocols/protocol-id.ts';
import {
  createMemorySequenceStore,
  decodeRelease,
  releaseKey,
  setChannel,
  signRelease,
} from '../../protocols/release/index.ts';
import { requestReplica, signPlacementGrant } from '../../protocols/replica/index.ts';
import { TRANSFER_VERSION } from '../../protocols/transfer/index.ts';
import type { PublisherId, VersionCid } from '../../protocols/types.ts';
import { publishVersion } from '../../src/client/publisher.ts';
import { type SwarmClient, Tensor } from '../../src/index.ts';
import { packModel } from '../../src/model/package.ts';
import { SwarmPeer } from '../../src/swarm/peer.ts';
import { addModel } from '../support/models.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

const row = Tensor.from('FP32', [1, 4], [1, 2, 3, 4]);
const WAIT = { timeout: 15_000 };

/** gossipsub's: below it nothing of a peer is heard. */
const GRAYLIST_SCORE = -80;

const PROTOCOLS = ['inference', 'transfer', 'replica', 'routing'] as const;

describe('A node among hostile peers', () => {
  let testnet: Testnet;
  let client: SwarmClient;
  let mallory: SwarmPeer;
  let publisher = '' as PublisherId;
  let cid = '' as VersionCid;

  beforeAll(async () => {
    testnet = await createTestnet({ nodes: 2, clients: 1 });
    client = testnet.clients[0] as SwarmClient;
    ({ publisher, cid } = await testnet.publish(addModel(), { name: 'adder' }));
    mallory = await testnet.addPeer();
  });
  afterAll(() => testnet[Symbol.asyncDispose]());

  const open = async (protocol: (typeof PROTOCOLS)[number]): Promise<Stream> => {
    const [address] = testnet.nodes[0]?.addresses ?? [];
    return mallory.libp2p.dialProtocol(
      multiaddr(address),
      protocolId(testnet.network, protocol, protocol === 'transfer' ? TRANSFER_VERSION : '1.0.0'),
      { signal: AbortSignal.timeout(10_000) },
    );
  };

  const closed = (stream: Stream) =>
    expect.poll(() => stream.status, { timeout: 15_000 }).not.toBe('open');

  const stillServes = async () => {
    for (const replica of client.ready(cid)) {
      const { outputs } = await client.infer(`${publisher}/adder`, { x: row });
      expect(outputs['sum']?.toArray(), replica.node.announcement.node).toEqual([2, 3, 4, 5]);
    }
  };

  it.each(PROTOCOLS)('resets a %s stream of garbage and goes on serving', async (protocol) => {
    const stream = await open(protocol);
    stream.send(new Uint8Array(4096).fill(0xff));
    await closed(stream);
    await stillServes();
  });

  it.each(PROTOCOLS)('takes no endless message on a %s stream', async (protocol) => {
    const stream = await open(protocol);
    const piece = new Uint8Array(64 * 1024).fill(0x81);
    const endless = async () => {
      for (let sent = 0; sent < 64 && stream.status === 'open'; sent += 1) {
        if (!stream.send(piece)) await stream.onDrain().catch(() => undefined);
      }
    };
    await endless().catch(() => undefined);
    await closed(stream);
    await stillServes();
  });

  it.each(PROTOCOLS)(
    'is not held up by %s streams that say half a message or nothing',
    async (protocol) => {
      const silent = await open(protocol);
      const half = await open(protocol);
      half.send(Uint8Array.of(0x20, 0x00, 0x00));
      await stillServes();
      for (const stream of [silent, half]) stream.abort(new Error('done'));
      await stillServes();
    },
  );

  it('survives peers that vanish in the middle of everything', async () => {
    const streams = await Promise.all(
      Array.from({ length: 20 }, (_, index) => open(PROTOCOLS[index % 4] ?? 'inference')),
    );
    for (const stream of streams) stream.send(Uint8Array.of(0x10, 0x00));
    await mallory.libp2p.hangUp(peerIdFromString(testnet.nodes[0]?.id ?? ''));
    await stillServes();
  });

  it('hears no more of a peer that sends forged gossip, and goes on hearing those that relay none', async () => {
    const forger = await testnet.addPeer();
    const witness = await SwarmPeer.start({
      network: testnet.network,
      privateKey: await generateKeyPair('Ed25519'),
      dhtMode: 'client',
      bootstrap: testnet.bootstrapAddresses,
      sequences: createMemorySequenceStore(),
      listen: ['/ip4/127.0.0.1/tcp/0'],
    });
    try {
      const topic = capacityTopic(testnet.network, 0);
      witness.gossip.joinAll();
      await forger.libp2p.dial(witness.libp2p.getMultiaddrs());
      const { gossip } = forger.libp2p.services;
      await expect.poll(() => gossip.getSubscribers(topic).map(String), WAIT).toContain(witness.id);
      for (let index = 0; index < 12; index += 1) {
        await gossip.publish(topic, new Uint8Array(64).fill(index));
      }
      // Not in the library's interface, and what it does about it is not to be seen from outside.
      const { score } = witness.libp2p.services.gossip as unknown as {
        readonly score: { score(peer: string): number };
      };
      const scoreOf = (peer: string) => score.score(peer);
      await expect.poll(() => scoreOf(forger.id), WAIT).toBeLessThan(GRAYLIST_SCORE);
      for (const node of testnet.nodes) expect(scoreOf(node.id)).toBeGreaterThanOrEqual(0);
    } finally {
      await witness.stop();
    }
    await stillServes();
  });

  it('believes no release record and no grant whose signature is broken', async () => {
    const { bytes } = await mallory.releases.find(publisher, 'adder');
    await expect(mallory.releases.offer(broken(bytes))).rejects.toMatchObject({
      code: 'ERR_INVALID_RECORD',
      message: expect.stringContaining('has a signature that is not by'),
    });
    const grant = await signPlacementGrant(
      { name: 'adder', cid },
      testnet.publisherKey,
      Date.now(),
    );
    const asked = requestReplica(
      await open('replica'),
      { grant: broken(grant) },
      AbortSignal.timeout(10_000),
    );
    await expect(asked.next()).rejects.toMatchObject({
      code: 'ERR_INVALID_RECORD',
      message: expect.stringContaining('has a signature that is not by'),
    });
  });

  it('keeps the newest release when an older one is put again', async () => {
    const old = await mallory.releases.find(publisher, 'adder');
    const newer = setChannel(old.record, {
      publisher,
      name: 'adder',
      channel: 'beta',
      cid,
      nowMs: Date.now(),
    });
    await mallory.releases.publish(await signRelease(newer, testnet.publisherKey));
    const events = mallory.libp2p.services.dht.put(releaseKey(publisher, 'adder'), old.bytes);
    const stored = [];
    try {
      for await (const event of events) if (event.name === 'PEER_RESPONSE') stored.push(event);
    } catch {
      // Its own validator refuses it first: then nobody was even asked.
    }
    const fresh = await testnet.addClient();
    expect(await fresh.resolve(`${publisher}/adder@beta`)).toMatchObject({ sequence: 2, cid });
  });

  it('refuses a manifest that lies about the hash of a file', async () => {
    const folder = `${testnet.folder}/liar`;
    await mkdir(folder);
    await writeFile(`${folder}/model.onnx`, addModel(99));
    await using honest = await packModel(folder);
    const files = honest.manifest.files.map((file) => ({ ...file, sha256: new Uint8Array(32) }));
    const lying = encodeManifest({ ...honest.manifest, files });
    const version = {
      cid: lying.cid,
      manifest: { ...honest.manifest, files },
      source: {
        read: async (digest: Uint8Array) =>
          (await honest.source.read(digest)) ?? Uint8Array.from(lying.bytes),
      },
    };
    const peer = await testnet.addPeer();
    const publishing = publishVersion(peer, version, {
      name: 'liar',
      key: testnet.publisherKey,
      signal: AbortSignal.timeout(30_000),
    });
    await expect(publishing).rejects.toMatchObject({
      code: 'ERR_NO_NODE',
      details: { refusals: [{ code: 'ERR_INVALID_RECORD' }, { code: 'ERR_INVALID_RECORD' }] },
    });
    await stillServes();
  });

  it('refuses blocks that are not what was asked for', async () => {
    const folder = `${testnet.folder}/corrupt`;
    await mkdir(folder);
    await writeFile(`${folder}/model.onnx`, addModel(98));
    await using honest = await packModel(folder);
    const version = {
      cid: honest.cid,
      manifest: honest.manifest,
      source: { read: async () => new Uint8Array(100) },
    };
    const peer = await testnet.addPeer();
    const publishing = publishVersion(peer, version, {
      name: 'corrupt',
      key: testnet.publisherKey,
      signal: AbortSignal.timeout(30_000),
    });
    await expect(publishing).rejects.toMatchObject({
      code: 'ERR_NO_NODE',
      message: expect.stringContaining('hashes to'),
    });
    await stillServes();
  });

  it('takes a release only from its own publisher', async () => {
    const { bytes } = await mallory.releases.find(publisher, 'adder');
    const record = await decodeRelease(bytes);
    const other = peerIdFromPrivateKey(testnet.publisherKey).toString();
    expect(record.publisher).toBe(other);
    await expect(
      signRelease(
        { ...record, publisher: mallory.id as unknown as PublisherId },
        testnet.publisherKey,
      ),
    ).rejects.toMatchObject({ code: 'ERR_INVALID_RECORD' });
  });
});

/** The same bytes with the last one, the signature's, changed. */
function broken(bytes: Uint8Array): Uint8Array {
  const changed = Uint8Array.from(bytes);
  changed.set([(changed.at(-1) ?? 0) ^ 1], changed.length - 1);
  return changed;
}
