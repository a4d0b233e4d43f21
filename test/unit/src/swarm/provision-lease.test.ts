import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import { generateKeyPair } from '@libp2p/crypto/keys';
import type { PrivateKey } from '@libp2p/interface';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  deriveHookKey,
  type HookKey,
  openProvision,
  provisionTopic,
  signProvision,
} from '../../../../protocols/provision/index.ts';
import { PROVISION_LISTEN_MS } from '../../../../src/policy/provision-lease.ts';
import { peerIdText } from '../../../../src/swarm/identity.ts';
import { ProvisionGossip } from '../../../../src/swarm/provision-gossip.ts';
import { ProvisionLease } from '../../../../src/swarm/provision-lease.ts';
import { GossipStub } from '../../../support/gossip-stub.ts';

const topic = provisionTopic('main');
const hookKey = await deriveHookKey('main', './hook');
const strangerKey = await deriveHookKey('main', './another');

/** Two keys, the one with the lower peer id first. */
async function sortedKeys(): Promise<[PrivateKey, PrivateKey]> {
  const [a, b] = [await generateKeyPair('Ed25519'), await generateKeyPair('Ed25519')];
  return peerIdText(a) < peerIdText(b) ? [a, b] : [b, a];
}

describe('ProvisionLease', () => {
  // The hook's key is made by a thread, whose end no false clock brings nearer.
  beforeEach(
    () => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }),
  );
  afterEach(() => void vi.useRealTimers());

  async function open(privateKey: PrivateKey) {
    const stub = new GossipStub();
    const gossip = new ProvisionGossip(stub.libp2p, { network: 'main', privateKey });
    const state = { canTell: true };
    const lease = new ProvisionLease(gossip, { hook: './hook', canTell: () => state.canTell });
    lease.start();
    await vi.waitUntil(() => stub.topics.has(topic), { interval: 5 });
    const said = async () =>
      Promise.all(stub.published.map(async ({ bytes }) => (await openProvision(bytes)).leaving));
    return { stub, state, lease, said };
  }

  async function heartbeat(
    key: PrivateKey,
    sequence: number,
    { leaving = false, by = hookKey }: { leaving?: boolean; by?: HookKey } = {},
  ): Promise<Uint8Array> {
    return signProvision({ sequence, leaving }, by, key);
  }

  it('holds after it has listened, and tells that it lives every five seconds', async () => {
    const { stub, lease, said } = await open(await generateKeyPair('Ed25519'));
    await vi.waitUntil(() => stub.published.length === 1, { interval: 5 });
    expect(lease.isHolder).toBe(false);
    vi.advanceTimersByTime(PROVISION_LISTEN_MS);
    expect(lease.isHolder).toBe(true);
    await vi.waitUntil(() => stub.published.length === 2, { interval: 5 });
    await lease.stop();
    expect(lease.isHolder).toBe(false);
    expect(await said()).toEqual([false, false, true]);
  });

  it('yields to a lower id for as long as it is heard, and takes over at once when it leaves', async () => {
    const [low, high] = await sortedKeys();
    const { stub, lease } = await open(high);
    vi.advanceTimersByTime(PROVISION_LISTEN_MS);
    expect(await stub.hear(topic, await heartbeat(low, 1))).toBe(TopicValidatorResult.Accept);
    expect(lease.isHolder).toBe(false);
    vi.advanceTimersByTime(15_000);
    expect(lease.isHolder).toBe(true);
    await stub.hear(topic, await heartbeat(low, 2));
    expect(lease.isHolder).toBe(false);
    await stub.hear(topic, await heartbeat(low, 3, { leaving: true }));
    expect(lease.isHolder).toBe(true);
    await lease.stop();
  });

  it('yields to nobody who has another hook, nor to one who does not know this one', async () => {
    const [low, high] = await sortedKeys();
    const { stub, lease } = await open(high);
    vi.advanceTimersByTime(PROVISION_LISTEN_MS);
    const stranger = await heartbeat(low, 1, { by: strangerKey });
    expect(await stub.hear(topic, stranger)).toBe(TopicValidatorResult.Accept);
    const guessed = { group: hookKey.group, secret: strangerKey.secret };
    const forged = await heartbeat(low, 2, { by: guessed });
    expect(await stub.hear(topic, forged)).toBe(TopicValidatorResult.Ignore);
    expect(lease.isHolder).toBe(true);
    await lease.stop();
  });

  it('says nothing while it has nothing to tell, not even that it leaves', async () => {
    const [low] = await sortedKeys();
    const { stub, state, lease } = await open(low);
    await vi.waitUntil(() => stub.published.length === 1, { interval: 5 });
    state.canTell = false;
    vi.advanceTimersByTime(20_000);
    await lease.stop();
    expect(stub.published).toHaveLength(2);
    const silent = new GossipStub();
    const gossip = new ProvisionGossip(silent.libp2p, { network: 'main', privateKey: low });
    const other = new ProvisionLease(gossip, { hook: './hook', canTell: () => false });
    other.start();
    await vi.waitUntil(() => silent.topics.has(topic), { interval: 5 });
    await other.stop();
    expect(silent.published).toHaveLength(0);
  });
});

describe('ProvisionGossip', () => {
  it('passes over what is old or too much, and rejects what nobody signed', async () => {
    const stub = new GossipStub();
    const privateKey = await generateKeyPair('Ed25519');
    new ProvisionGossip(stub.libp2p, { network: 'main', privateKey }).join();
    const key = await generateKeyPair('Ed25519');
    const said = async (sequence: number) =>
      signProvision({ sequence, leaving: false }, hookKey, key);
    expect(await stub.hear(topic, await said(2))).toBe(TopicValidatorResult.Accept);
    expect(await stub.hear(topic, await said(1))).toBe(TopicValidatorResult.Ignore);
    const own = await signProvision({ sequence: 9, leaving: false }, hookKey, privateKey);
    expect(await stub.hear(topic, own)).toBe(TopicValidatorResult.Ignore);
    const forged = await said(3);
    forged[forged.byteLength - 1] = (forged.at(-1) ?? 0) ^ 1;
    expect(await stub.hear(topic, forged)).toBe(TopicValidatorResult.Reject);
    const clock = vi.spyOn(performance, 'now').mockReturnValue(performance.now());
    for (let seen = 0; seen < 100; seen += 1) await stub.hear(topic, forged);
    expect(await stub.hear(topic, await said(4))).toBe(TopicValidatorResult.Ignore);
    clock.mockRestore();
  });
});
