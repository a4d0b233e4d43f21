import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { generateKeyPair } from '@libp2p/crypto/keys';
import type { PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import { describe, expect, it, onTestFinished } from 'vitest';
import { sha256 } from '../../protocols/digest.ts';
import { protocolId } from '../../protocols/protocol-id.ts';
import {
  createMemorySequenceStore,
  createReleaseValidator,
  MAX_CLOCK_SKEW_MS,
  type ReleaseRecord,
  releaseBucket,
  releaseKey,
  releaseTopic,
  selectRelease,
  setChannel,
  signRelease,
} from '../../protocols/release/index.ts';
import type { PublisherId, VersionCid } from '../../protocols/types.ts';
import { KeptReleases } from '../../src/cli/kept-releases.ts';
import { publishVersion } from '../../src/client/publisher.ts';
import { type SwarmClient, Tensor } from '../../src/index.ts';
import { packModel } from '../../src/model/package.ts';
import { createSwarmLibp2p } from '../../src/swarm/libp2p.ts';
import type { SwarmPeer } from '../../src/swarm/peer.ts';
import { addModel } from '../support/models.ts';
import { present } from '../support/present.ts';
import {
  type ModelName,
  type RankedRelease,
  rankedRelease,
  releaseKnownBy,
  Sightings,
  winnerOf,
} from '../support/release-onlookers.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

const row = Tensor.from('FP32', [1, 4], [1, 2, 3, 4]);

/** How long a swarm may take to agree. */
const AGREED = { timeout: 15_000, interval: 200 };

const HOUR_MS = 3_600_000;

/** Two versions that exist nowhere: where a record points does not matter to which record wins. */
const CIDS = [
  'bafyreigfgobggyyn37zoptjtamrw7nuql7qmdocz4nirtx5adrznfpwgme',
  'bafyreihvonnydrqxvsrgvygqzkkt3gsqoi37bjbr4yeclgb6c6l6yhpdbq',
] as VersionCid[];

describe('Two publishers with one key', () => {
  it('that race leave one winner, for every node and client, for good', async () => {
    await using testnet = await createTestnet({ bootstraps: 2, nodes: 2, clients: 2 });
    const key = testnet.publisherKey;
    const model = modelOf(key, 'raced');
    const publishers = [await Publisher.join(testnet, 'a'), await Publisher.join(testnet, 'b')];
    const sightings = testnet.clients.map((client) => new Sightings(client, model));
    onTestFinished(async () => stopAll(sightings));
    const signed: RankedRelease[] = [];

    for (const round of [1, 2, 3]) {
      const ends = await Promise.allSettled(
        publishers.map((publisher, index) => publisher.publish(model, 10 * round + index)),
      );
      const kept = await Promise.all(publishers.map((publisher) => publisher.kept(model)));
      signed.push(...kept);
      const winner = winnerOf(signed);
      // Who won was told so; who lost was told that it lost, unless it was told before the other came.
      expect(ends[kept.indexOf(winner)]?.status).toBe('fulfilled');
      for (const end of ends) {
        if (end.status === 'fulfilled') continue;
        expect(end.reason).toMatchObject({
          code: 'ERR_INVALID_RECORD',
          message: expect.stringContaining('won over this one'),
        });
      }
      await expectAgreement(testnet, model, winner);
      for (const seen of sightings) {
        await expect.poll(() => seen.last, AGREED).toMatchObject(stableOf(winner));
      }
      const offset = 10 * round + kept.indexOf(winner);
      for (const client of testnet.clients) {
        expect(await answerOf(client, model)).toEqual([1, 2, 3, 4].map((x) => x + offset));
      }

      // Who lost does not know when to stop, and puts and pushes its record again.
      const stubborn = await testnet.addPeer();
      for (const { bytes } of kept) await spread(stubborn, model, bytes);
      await expectAgreement(testnet, model, winner);
      expect(sightings.map(({ last }) => last)).toEqual(
        sightings.map(() => expect.objectContaining(stableOf(winner))),
      );
    }
    for (const seen of sightings) seen.expectOnlyForward(signed);
    expect(winnerOf(signed).sequence).toBeGreaterThanOrEqual(3);
  });

  it('that signed one sequence leave the lower hash, whichever came first', async () => {
    await using testnet = await createTestnet({ nodes: 2, clients: 1 });
    const first = modelOf(testnet.publisherKey, 'lower-first');
    const last = modelOf(testnet.publisherKey, 'lower-last');
    for (const model of [first, last]) {
      const records = await Promise.all(
        CIDS.map(async (cid) => signed(testnet.publisherKey, record(model, { cid }))),
      );
      const winner = winnerOf(records);
      const loser = present(records.find((other) => other !== winner));
      expect(Buffer.compare(winner.hash, loser.hash)).toBeLessThan(0);
      const order = model === first ? [winner, loser] : [loser, winner];

      // By itself: the validator of one peer, the selector of one look-up, the memory of one directory.
      const validate = createReleaseValidator({ sequences: createMemorySequenceStore() });
      const key = releaseKey(model.publisher, model.name);
      const verdicts = [];
      for (const { bytes } of order) {
        verdicts.push(
          await validate(key, bytes).then(
            () => 'taken',
            () => 'refused',
          ),
        );
      }
      expect(verdicts).toEqual(['taken', model === first ? 'refused' : 'taken']);
      const bytes = order.map((release) => release.bytes);
      expect(order[await selectRelease(key, bytes)]).toBe(winner);
      const peer = await testnet.addPeer();
      for (const release of order) await peer.releases.offer(release.bytes);
      expect(peer.releases.cached(model.publisher, model.name)?.bytes).toEqual(winner.bytes);

      // Across the swarm, from peers that know nothing of each other.
      const client = present(testnet.clients[0]);
      await using seen = new Sightings(client, model);
      for (const release of order) await spread(await testnet.addPeer(), model, release.bytes);
      await expectAgreement(testnet, model, winner);
      await expect.poll(() => seen.last, AGREED).toMatchObject(stableOf(winner));
      seen.expectOnlyForward(records);
    }
  });
});

describe('A publisher with a wrong clock', () => {
  it('is believed an hour ahead and just under two, and no further', async () => {
    await using testnet = await createTestnet({ nodes: 2, clients: 1 });
    const key = testnet.publisherKey;
    const model = modelOf(key, 'early');
    const peer = await testnet.addPeer();
    let previous: ReleaseRecord | undefined;
    let newest: RankedRelease | undefined;
    for (const aheadMs of [HOUR_MS, MAX_CLOCK_SKEW_MS - 60_000]) {
      previous = record(model, { previous, nowMs: Date.now() + aheadMs });
      newest = await signed(key, previous);
      await peer.releases.publish(newest.bytes);
      await expectAgreement(testnet, model, newest);
    }

    const tooEarly = await signed(
      key,
      record(model, { previous, nowMs: Date.now() + MAX_CLOCK_SKEW_MS + 60_000 }),
    );
    await expect(peer.releases.publish(tooEarly.bytes)).rejects.toMatchObject({
      code: 'ERR_INVALID_RECORD',
      message: expect.stringContaining("ahead of this machine's clock"),
    });
    // Its own machine believes it: it is the others that must not.
    expect(await spread(await testnet.addPeer(), model, tooEarly.bytes)).toBe(0);
    await expectAgreement(testnet, model, present(newest));

    // With the clock set right the next record counts, though it was issued before the one it follows.
    const righted = await signed(key, record(model, { previous, cid: CIDS[1] }));
    await peer.releases.publish(righted.bytes);
    await expectAgreement(testnet, model, righted);
    const client = await testnet.addClient();
    expect(await client.resolve(`${model.publisher}/${model.name}`)).toMatchObject(
      stableOf(righted),
    );
  });
});

describe('A swarm that was in two', () => {
  it('agrees on the higher sequence when it is one again, and serves it on both sides', async () => {
    await using left = await createTestnet({ nodes: 2, clients: 1 });
    await using right = await createTestnet({ nodes: 2, clients: 1, network: left.network });
    const key = left.publisherKey;
    const model = modelOf(key, 'parted');
    const records: RankedRelease[] = [];
    for (const offset of [1, 2]) {
      const { record: bytes } = await left.publish(addModel(offset), { name: model.name });
      records.push(await rankedRelease(bytes));
    }
    const { record: bytes } = await right.publish(addModel(9), { name: model.name, key });
    records.push(await rankedRelease(bytes));
    expect(records.map(({ sequence }) => sequence)).toEqual([1, 2, 1]);
    const winner = winnerOf(records);
    const clients = [...left.clients, ...right.clients];
    const sightings = clients.map((client) => new Sightings(client, model));
    onTestFinished(async () => stopAll(sightings));
    await expect.poll(() => sightings.map(({ last }) => last?.sequence), AGREED).toEqual([2, 1]);
    expect(await answerOf(present(right.clients[0]), model)).toEqual([10, 11, 12, 13]);

    await left.addNode({ bootstrap: [...right.bootstrapAddresses, ...left.bootstrapAddresses] });
    for (const seen of sightings) {
      await expect.poll(() => seen.last, AGREED).toMatchObject(stableOf(winner));
    }
    for (const side of [left, right]) await expectAgreement(side, model, winner);
    for (const client of clients) {
      await expect
        .poll(async () => answerOf(client, model).catch(String), AGREED)
        .toEqual([3, 4, 5, 6]);
    }
    for (const seen of sightings) seen.expectOnlyForward(records);
  });
});

describe('A DHT server that insists on an old record', () => {
  it('keeps nobody from finding the newest', async () => {
    await using testnet = await createTestnet({ nodes: 2, clients: 0 });
    const key = testnet.publisherKey;
    const model = modelOf(key, 'insisted');
    const old = record(model, {});
    const stale = await signed(key, old);
    const newest = await signed(key, record(model, { previous: old, cid: CIDS[1] }));
    const liar = await createSwarmLibp2p({
      network: testnet.network,
      privateKey: await generateKeyPair('Ed25519'),
      dhtMode: 'server',
      listen: ['/ip4/127.0.0.1/tcp/0'],
      sequences: createMemorySequenceStore(),
      validateRelease: async () => {
        throw new Error('takes nothing that corrects it');
      },
    });
    onTestFinished(async () => liar.stop());
    for (const address of testnet.bootstrapAddresses) await liar.dial(multiaddr(address));
    // What a peer puts is first stored with itself, unchecked.
    for await (const _event of liar.services.dht.put(
      releaseKey(model.publisher, model.name),
      stale.bytes,
    )) {
      // Only its own copy matters.
    }
    const publisher = await testnet.addPeer();
    await publisher.releases.publish(newest.bytes);
    for (const _attempt of [1, 2, 3, 4, 5]) {
      const peer = await testnet.addPeer();
      await peer.libp2p.dial(liar.getMultiaddrs());
      await expect
        .poll(async () => (await peer.libp2p.peerStore.get(liar.peerId)).protocols, AGREED)
        .toContain(protocolId(testnet.network, 'kad', '1.0.0'));
      const found = await peer.releases.find(model.publisher, model.name, {
        signal: AbortSignal.timeout(10_000),
      });
      expect(found.record.sequence).toBe(2);
    }
  });
});

/** A publishing process with a data folder of its own, as `swarm publish` on one of two machines. */
class Publisher {
  readonly #peer: SwarmPeer;
  readonly #kept: KeptReleases;
  readonly #folder: string;
  readonly #key: PrivateKey;

  static async join(testnet: Testnet, machine: string): Promise<Publisher> {
    const folder = path.join(testnet.folder, `publisher-${machine}`);
    return new Publisher(await testnet.addPeer(), folder, testnet.publisherKey);
  }

  private constructor(peer: SwarmPeer, folder: string, key: PrivateKey) {
    this.#peer = peer;
    this.#folder = folder;
    this.#kept = new KeptReleases(folder);
    this.#key = key;
  }

  /** Publishes the version that adds an offset to its input. */
  async publish(model: ModelName, offset: number): Promise<void> {
    const folder = path.join(this.#folder, `add-${offset}`);
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, 'model.onnx'), addModel(offset));
    await using version = await packModel(folder);
    await publishVersion(this.#peer, version, {
      name: model.name,
      key: this.#key,
      replicas: 1,
      openTurn: async (signal) =>
        this.#kept.openTurn(this.#keyOf(model), { holder: 'a test', signal }),
      signal: AbortSignal.timeout(40_000),
    });
  }

  /** What this publisher signed last. */
  async kept(model: ModelName): Promise<RankedRelease> {
    const bytes = await this.#kept.read(this.#keyOf(model), AbortSignal.timeout(5_000));
    return rankedRelease(present(bytes));
  }

  #keyOf(model: ModelName) {
    return { ...model, network: this.#peer.network };
  }
}

function modelOf(key: PrivateKey, name: string): ModelName {
  return { publisher: peerIdFromPrivateKey(key).toString() as PublisherId, name };
}

function record(
  model: ModelName,
  options: {
    readonly previous?: ReleaseRecord | undefined;
    readonly cid?: VersionCid | undefined;
    readonly nowMs?: number;
  },
): ReleaseRecord {
  const { previous, cid = present(CIDS[0]), nowMs = Date.now() } = options;
  return setChannel(previous, { ...model, channel: 'stable', cid, nowMs });
}

async function signed(key: PrivateKey, release: ReleaseRecord): Promise<RankedRelease> {
  return rankedRelease(await signRelease(release, key));
}

/** Puts and pushes a record without looking at it first; returns how many DHT servers took it. */
async function spread(peer: SwarmPeer, model: ModelName, bytes: Uint8Array): Promise<number> {
  const { dht, gossip } = peer.libp2p.services;
  let taken = 0;
  const put = async (): Promise<number> => {
    let asked = 0;
    for await (const event of dht.put(releaseKey(model.publisher, model.name), bytes)) {
      if (event.name === 'SEND_QUERY' && event.messageName === 'PUT_VALUE') asked += 1;
      if (event.name === 'PEER_RESPONSE' && event.messageName === 'PUT_VALUE') taken += 1;
    }
    return asked;
  };
  // A peer that has just come knows no DHT server for a moment.
  await expect.poll(put, AGREED).toBeGreaterThan(0);
  const bucket = releaseBucket(model.publisher, model.name);
  await gossip.publish(releaseTopic(peer.network, bucket), bytes);
  return taken;
}

/** Every node, every bootstrap server and the DHT, asked by a peer that has just come, name this record. */
async function expectAgreement(
  testnet: Testnet,
  model: ModelName,
  winner: RankedRelease,
): Promise<void> {
  const newcomer = await testnet.addPeer();
  for (const { id } of [...testnet.bootstraps, ...testnet.nodes]) {
    const address = [...testnet.bootstraps, ...testnet.nodes].find((one) => one.id === id);
    await newcomer.libp2p.dial(present(address).addresses.map((text) => multiaddr(text)));
    await expect
      .poll(async () => (await releaseKnownBy(newcomer, id, model))?.hash, AGREED)
      .toEqual(winner.hash);
  }
  const found = await newcomer.releases.find(model.publisher, model.name, { fresh: true });
  expect(sha256(found.bytes)).toEqual(winner.hash);
}

function stableOf({ sequence, cid }: RankedRelease) {
  return { sequence, cid };
}

async function answerOf(client: SwarmClient, { publisher, name }: ModelName) {
  const { outputs } = await client.infer(`${publisher}/${name}`, { x: row });
  return outputs['sum']?.toArray();
}

async function stopAll(sightings: readonly Sightings[]): Promise<void> {
  for (const seen of sightings) await seen[Symbol.asyncDispose]();
}
