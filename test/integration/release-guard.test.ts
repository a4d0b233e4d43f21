import { generateKeyPair } from '@libp2p/crypto/keys';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outcomeBucket, outcomeTopic, signOutcome } from '../../protocols/outcome/index.ts';
import type { PublisherId, VersionCid } from '../../protocols/types.ts';
import { type InferResult, type SwarmClient, Tensor } from '../../src/index.ts';
import { addModel, fragileModel } from '../support/models.ts';
import { moveRelease } from '../support/release-mover.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

/** The older version answers it, the newer fails while it runs. */
const hard = Tensor.from('FP32', [1, 4], [7, 0, 0, 0]);

const guard = { minSamples: 12, minReporters: 2, windowMs: 30_000 };

describe('A guarded release', () => {
  let testnet: Testnet;
  let publisher: PublisherId;
  let older: VersionCid;
  let newer: VersionCid;
  const model = () => ({ publisher, name: 'guarded' });
  const reference = () => `${publisher}/guarded`;

  beforeAll(async () => {
    testnet = await createTestnet({ nodes: 2, clients: 0 });
    const first = await testnet.publish(addModel(10), { name: 'guarded' });
    publisher = first.publisher;
    older = first.cid;
    newer = (await testnet.publish(fragileModel(20, 1), { name: 'guarded', channel: 'beta' })).cid;
  });
  afterAll(() => testnet[Symbol.asyncDispose]());

  /** Calls until all answers are as expected, or fails the test. */
  async function answeredWith(client: SwarmClient, expected: Partial<InferResult>): Promise<void> {
    const ask = async () => {
      const calls = Array.from({ length: 4 }, async () => client.infer(reference(), { x: hard }));
      return (await Promise.allSettled(calls)).map((settled) =>
        settled.status === 'fulfilled' ? settled.value : settled.reason,
      );
    };
    const matching = expect.objectContaining(expected);
    await expect.poll(ask, { timeout: 30_000 }).toEqual([matching, matching, matching, matching]);
  }

  it('is left by every client once enough of them saw it fail, and says why, until the publisher acts', async () => {
    const clients = await Promise.all(
      (['full', 'full', 'full', 'light'] as const).map((mode) => testnet.addClient({ mode })),
    );
    await Promise.all(clients.map((client) => answeredWith(client, { version: older })));
    await moveRelease(testnet, model(), [['stable', { cid: newer, guard, previous: older }]]);
    const left = { version: older, channel: 'stable', fellBack: true };
    await Promise.all(clients.map((client) => answeredWith(client, left)));
    const late = await testnet.addClient({ mode: 'light' });
    const status = await late.releaseStatus(reference());
    expect(status.channels.find(({ channel }) => channel === 'stable')).toMatchObject({
      cid: newer,
      inUse: older,
      guard: { state: 'tripped', verdict: { tripped: true, reason: 'errors' } },
    });
    // It comes too late to see anything fail, and is spared it all the same.
    expect(await late.infer(reference(), { x: hard })).toMatchObject({
      version: older,
      fellBack: true,
    });
    const easy = Tensor.from('FP32', [1, 4], [0, 0, 0, 0]);
    const { sequence } = await moveRelease(testnet, model(), [
      ['stable', { cid: newer, guard, previous: older }],
    ]);
    await expect
      .poll(async () => late.infer(reference(), { x: easy }), { timeout: 30_000 })
      .toMatchObject({ version: newer, sequence, fellBack: false });
  });

  it('stays when one peer alone says it fails', async () => {
    const client = await testnet.addClient();
    const { sequence } = await moveRelease(testnet, model(), [
      ['stable', { cid: newer, guard, previous: older }],
    ]);
    await client.infer(reference(), { x: Tensor.from('FP32', [1, 4], [0, 0, 0, 0]) });
    const liar = await testnet.addPeer();
    liar.follow(publisher, 'guarded');
    const bytes = await signOutcome(
      {
        publisher,
        name: 'guarded',
        release: sequence,
        sequence: Date.now(),
        issuedAtMs: Date.now(),
        windowMs: 30_000,
        versions: [{ cid: newer, execution: 1_000_000, timeout: 0, latencies: [] }],
      },
      await generateKeyPair('Ed25519'),
    );
    const topic = outcomeTopic(testnet.network, outcomeBucket(publisher, 'guarded'));
    const { gossip } = liar.libp2p.services;
    await expect.poll(() => gossip.getSubscribers(topic).length).toBeGreaterThan(0);
    await gossip.publish(topic, bytes);
    const stable = async () => {
      const { channels } = await client.releaseStatus(reference());
      return channels.find(({ channel }) => channel === 'stable')?.guard;
    };
    await expect.poll(stable, { timeout: 30_000 }).toMatchObject({
      verdict: { samples: expect.toSatisfy((samples: number) => samples >= 1_000_000) },
    });
    expect(await stable()).toMatchObject({ state: 'watching', verdict: { errorVotes: 1 } });
    expect(
      await client.infer(reference(), { x: Tensor.from('FP32', [1, 4], [0, 0, 0, 0]) }),
    ).toMatchObject({ version: newer, fellBack: false });
  });
});
