import { generateKeyPair } from '@libp2p/crypto/keys';
import type { PrivateKey } from '@libp2p/interface';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  moveChannels,
  type ReleaseRecord,
  signDelegation,
  signRelease,
} from '../../protocols/release/index.ts';
import type { PublisherId, VersionCid } from '../../protocols/types.ts';
import {
  promoteCanary,
  rollBack,
  setVersion,
  startCanary,
} from '../../src/client/release-editor.ts';
import { findReady, moveRelease, type ReleaseSigner } from '../../src/client/release-move.ts';
import { Tensor } from '../../src/index.ts';
import { peerIdText } from '../../src/swarm/identity.ts';
import type { SwarmPeer } from '../../src/swarm/peer.ts';
import { addModel } from '../support/models.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

const DAY = 86_400_000;
const input = Tensor.from('FP32', [1, 4], [1, 2, 3, 4]);

describe('A release that moves', () => {
  let testnet: Testnet;
  let peer: SwarmPeer;
  let publisher: PublisherId;

  beforeAll(async () => {
    testnet = await createTestnet({ nodes: 3, clients: 0 });
    peer = await testnet.addPeer();
    publisher = peerIdText(testnet.publisherKey) as PublisherId;
  });
  afterAll(() => testnet[Symbol.asyncDispose]());

  /** Moves a model from a peer that has just come, as a command would. */
  const move = async (
    name: string,
    edit: (
      newest: ReleaseRecord | undefined,
      next: { publisher: PublisherId; name: string; nowMs: number },
    ) => ReleaseRecord,
    signer: ReleaseSigner = { key: testnet.publisherKey },
    from: SwarmPeer = peer,
  ): Promise<ReleaseRecord> => {
    const { record } = await moveRelease(from, {
      publisher,
      name,
      signer,
      edit: (newest) => edit(newest, { publisher, name, nowMs: Date.now() }),
      signal: AbortSignal.timeout(20_000),
    });
    return record;
  };

  /** Publishes two versions, the first of them stable. */
  const publishTwo = async (name: string): Promise<[VersionCid, VersionCid]> => {
    const first = await testnet.publish(addModel(1), { name });
    const second = await testnet.publish(addModel(2), { name, channel: 'next' });
    return [first.cid, second.cid];
  };

  const delegate = async (
    name: string,
    key: PrivateKey,
    untilSequence: number,
  ): Promise<Uint8Array> =>
    signDelegation(
      {
        name,
        delegate: peerIdText(key) as PublisherId,
        untilSequence,
        expiresAtMs: Date.now() + DAY,
      },
      testnet.publisherKey,
    );

  it('is read by whoever comes: canary with its weight and guard, promotion, rollback', async () => {
    const [first, second] = await publishTwo('moving');
    await move('moving', (newest, next) =>
      startCanary(newest, { ...next, cid: second, weight: 0.05, guard: { minSamples: 10 } }),
    );
    const reader = await testnet.addPeer();
    const { record } = await reader.releases.find(publisher, 'moving', { fresh: true });
    expect(record.channels['canary']).toEqual({
      cid: second,
      weight: 0.05,
      guard: { minSamples: 10 },
      previous: first,
    });
    const client = await testnet.addClient();
    const ask = async () =>
      (await client.infer(`${publisher}/moving@stable`, { x: input })).outputs['sum']?.toArray();
    expect(await ask()).toEqual([2, 3, 4, 5]);
    await move('moving', promoteCanary);
    await expect.poll(ask, { timeout: 10_000 }).toEqual([3, 4, 5, 6]);
    await move('moving', rollBack);
    await expect.poll(ask, { timeout: 10_000 }).toEqual([2, 3, 4, 5]);
  });

  it('finds who serves a version, and nobody for one that is nowhere', async () => {
    const { cid, replicas } = await testnet.publish(addModel(5), { name: 'served' });
    const model = { publisher, name: 'served' };
    const signal = AbortSignal.timeout(20_000);
    const found = await findReady(await testnet.addPeer(), model, cid, signal);
    expect([...found].sort()).toEqual([...replicas].sort());
    const gone = 'bafyreigfgobggyyn37zoptjtamrw7nuql7qmdocz4nirtx5adrznfpwgme' as VersionCid;
    expect(await findReady(peer, model, gone, signal)).toEqual([]);
  });

  it('is signed only when what it points at is served, or the caller says otherwise', async () => {
    const [first] = await publishTwo('watched');
    const gone = 'bafyreigfgobggyyn37zoptjtamrw7nuql7qmdocz4nirtx5adrznfpwgme' as VersionCid;
    const unready: unknown[] = [];
    const refuse = moveRelease(peer, {
      publisher,
      name: 'watched',
      signer: { key: testnet.publisherKey },
      edit: (newest) =>
        setVersion(newest, {
          ...{ publisher, name: 'watched', channel: 'stable', cid: gone, nowMs: Date.now() },
        }),
      onUnready: (target) => {
        unready.push(target);
        throw new Error('refused by the caller');
      },
      signal: AbortSignal.timeout(20_000),
    });
    await expect(refuse).rejects.toThrow('refused by the caller');
    expect(unready).toEqual([{ channel: 'stable', cid: gone }]);
    const { record } = await peer.releases.find(publisher, 'watched', { fresh: true });
    expect(record.channels['stable']?.cid).toBe(first);
  });

  it('is kept by its publisher before anybody else sees it, and counts from what was kept', async () => {
    const { cid } = await testnet.publish(addModel(1), { name: 'kept' });
    const watcher = await testnet.addPeer();
    const seen = async () =>
      (await watcher.releases.find(publisher, 'kept', { fresh: true })).record.sequence;
    let kept: Uint8Array | undefined;
    let open = 0;
    const seenWhenKept: number[] = [];
    const set = async (channel: string) =>
      moveRelease(peer, {
        publisher,
        name: 'kept',
        signer: { key: testnet.publisherKey },
        edit: (newest) =>
          setVersion(newest, { publisher, name: 'kept', channel, cid, nowMs: Date.now() }),
        openTurn: async () => {
          open += 1;
          return {
            previous: kept,
            keep: async (bytes) => {
              seenWhenKept.push(await seen());
              kept = bytes;
            },
            [Symbol.asyncDispose]: async () => void (open -= 1),
          };
        },
        signal: AbortSignal.timeout(20_000),
      });
    await set('beta');
    expect([seenWhenKept, await seen(), open]).toEqual([[1], 2, 0]);
    // As after a crash between the two: it was signed and kept, and nobody has it.
    const lost = setVersion((await peer.releases.find(publisher, 'kept')).record, {
      ...{ publisher, name: 'kept', channel: 'lost', cid, nowMs: Date.now() },
    });
    kept = await signRelease(lost, testnet.publisherKey);
    const { record } = await set('gamma');
    expect(record.sequence).toBe(4);
    expect(Object.keys(record.channels).sort()).toEqual(['beta', 'gamma', 'lost', 'stable']);
  });

  it('has one winner when two publishers sign one sequence, and the other hears of it', async () => {
    await publishTwo('raced');
    const racer = await testnet.addPeer();
    const set = (cid: VersionCid) => (newest: ReleaseRecord | undefined, next: object) =>
      setVersion(newest, {
        ...(next as { publisher: PublisherId; name: string; nowMs: number }),
        channel: 'stable',
        cid,
      });
    const { record: before } = await peer.releases.find(publisher, 'raced', { fresh: true });
    const [a, b] = [before.channels['stable']?.cid, before.channels['next']?.cid];
    const results = await Promise.allSettled([
      move('raced', set(b ?? expect.fail()), undefined, peer),
      move('raced', set(a ?? expect.fail()), undefined, racer),
    ]);
    const won = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    for (const result of results) {
      if (result.status === 'rejected') {
        expect(result.reason).toMatchObject({
          code: expect.stringMatching(/^ERR_(INVALID_RECORD|CONNECTION)$/),
        });
      }
    }
    const everywhere = await Promise.all(
      [peer, racer, await testnet.addPeer()].map(
        async (asker) => (await asker.releases.find(publisher, 'raced', { fresh: true })).record,
      ),
    );
    expect(new Set(everywhere.map((record) => JSON.stringify(record))).size).toBe(1);
    expect(won).toContainEqual(everywhere[0]);
  });

  it('may be published and moved by a delegate, and by none that was revoked', async () => {
    const first = await testnet.publish(addModel(1), { name: 'shared' });
    const ci = await generateKeyPair('Ed25519');
    const certificate = await delegate('shared', ci, 50);
    const second = await testnet.publish(addModel(2), { name: 'shared', key: ci, certificate });
    expect(second).toMatchObject({ publisher, sequence: 2 });
    const client = await testnet.addClient();
    const { outputs } = await client.infer(`${publisher}/shared@stable`, { x: input });
    expect(outputs['sum']?.toArray()).toEqual([3, 4, 5, 6]);
    await move('shared', rollBack, { key: ci, certificate });

    const revoked = await move('shared', (newest, next) =>
      moveChannels(newest, { ...next, sequence: 51 }, []),
    );
    expect(revoked.channels['stable']?.cid).toBe(first.cid);
    await expect(
      move('shared', (newest, next) => rollBack(newest, { ...next, to: second.cid }), {
        key: ci,
        certificate,
      }),
    ).rejects.toMatchObject({
      code: 'ERR_INVALID_RECORD',
      message: expect.stringContaining('whose certificate ends at sequence 50'),
    });
    // A delegate that does not use our program puts what it likes: no DHT server takes it.
    const forged: ReleaseRecord = {
      ...revoked,
      sequence: 50,
      channels: { stable: { cid: second.cid } },
      expiresAtMs: Date.now() + DAY / 2,
      certificate,
    };
    const rogue = await testnet.addPeer();
    await expect(rogue.releases.publish(await signRelease(forged, ci))).rejects.toMatchObject({
      code: 'ERR_CONNECTION',
    });
    const asker = await testnet.addPeer();
    const { record } = await asker.releases.find(publisher, 'shared', { fresh: true });
    expect(record).toMatchObject({ sequence: 51, channels: { stable: { cid: first.cid } } });
    // Nor does any node hold a new version for it.
    await expect(
      testnet.publish(addModel(3), { name: 'shared', key: ci, certificate }),
    ).rejects.toMatchObject({
      code: 'ERR_NO_NODE',
      message: expect.stringContaining('ended at sequence 50, the release has 51'),
    });
  });

  it('is not a stranger’s to move, whatever certificate he makes', async () => {
    const { cid } = await testnet.publish(addModel(1), { name: 'mine' });
    const stranger = await generateKeyPair('Ed25519');
    const own = await signDelegation(
      {
        name: 'mine',
        delegate: publisher,
        untilSequence: 50,
        expiresAtMs: Date.now() + DAY,
      },
      stranger,
    );
    await expect(
      move('mine', (newest, next) => setVersion(newest, { ...next, channel: 'beta', cid }), {
        key: stranger,
        certificate: own,
      }),
    ).rejects.toMatchObject({ code: 'ERR_INVALID_RECORD' });
    const other = await delegate('other', stranger, 50);
    await expect(
      testnet.publish(addModel(2), { name: 'mine', key: stranger, certificate: other }),
    ).rejects.toMatchObject({
      code: 'ERR_NO_NODE',
      message: expect.stringContaining('placement grant'),
    });
  });
});
