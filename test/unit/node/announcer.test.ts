import { generateKeyPair } from '@libp2p/crypto/keys';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Announcer } from '../../../node/announcer.ts';
import { openAnnouncement, signOwnerCertificate } from '../../../protocols/capacity/index.ts';
import type { NodeId, OwnerId } from '../../../protocols/types.ts';
import { capacityGossip } from '../../../src/swarm/capacity-gossip.ts';
import { peerIdText } from '../../../src/swarm/identity.ts';
import type { SwarmPeer } from '../../../src/swarm/peer.ts';
import { SwarmView } from '../../../src/swarm/view.ts';
import { GossipStub } from '../../support/gossip-stub.ts';

const privateKey = await generateKeyPair('Ed25519');
const id = peerIdText(privateKey) as NodeId;
const ownerCertificate = await signOwnerCertificate(id, privateKey);
const INTERVAL_MS = 10_000;

/** An announcer that has started, of a node that holds nothing. */
async function createAnnouncer() {
  const stub = new GossipStub();
  const view = new SwarmView();
  const parts = { id, libp2p: stub.libp2p, network: 'main', view };
  const gossip = capacityGossip(parts as unknown as SwarmPeer);
  const peer = { ...parts, gossip } as unknown as SwarmPeer;
  const announcer = new Announcer(
    peer,
    { versions: () => [], devices: () => [], room: () => ({ roomBytes: 0 }), terms: () => ({}) },
    {
      ...{ privateKey, ownerCertificate, owner: id as string as OwnerId, zone: '' },
      ...{ tags: [], agent: 'test' },
      intervalMs: INTERVAL_MS,
      logger: pino({ level: 'silent' }),
    },
  );
  announcer.start();
  await vi.advanceTimersByTimeAsync(100);
  expect(stub.published).toHaveLength(1);
  return {
    stub,
    announcer,
    /** What a newcomer's subscriptions set off, before or after there is a stream to it. */
    arrive: async (newcomer: { reachable: boolean }): Promise<void> => {
      stub.subscribers.set('newcomer', newcomer);
      stub.events.dispatchEvent(new Event('subscription-change'));
      await vi.advanceTimersByTimeAsync(60);
    },
  };
}

describe('Announcer', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('speaks to a newcomer as soon as there is a stream to it, not at the next interval', async () => {
    const { stub, announcer, arrive } = await createAnnouncer();
    const newcomer = { reachable: false };
    await arrive(newcomer);
    expect(stub.published).toHaveLength(2);
    newcomer.reachable = true;
    await vi.advanceTimersByTimeAsync(200);
    expect(stub.published).toHaveLength(3);
    const [, second, third] = await Promise.all(
      stub.published.map(async ({ bytes }) => (await openAnnouncement(bytes)).sequence),
    );
    expect(third).toBeGreaterThan(second ?? Number.POSITIVE_INFINITY);
    await vi.advanceTimersByTimeAsync(INTERVAL_MS / 2);
    expect(stub.published).toHaveLength(3);
    await announcer.stop();
  });

  it('bothers the others less and less for one that can never be reached, and no more after an interval', async () => {
    const { stub, announcer, arrive } = await createAnnouncer();
    await arrive({ reachable: false });
    await vi.advanceTimersByTimeAsync(2 * INTERVAL_MS);
    const soFar = stub.published.length;
    expect(soFar).toBeLessThanOrEqual(12);
    await vi.advanceTimersByTimeAsync(10 * INTERVAL_MS);
    expect(stub.published).toHaveLength(soFar + 10);
    await announcer.stop();
    await vi.advanceTimersByTimeAsync(INTERVAL_MS);
    expect(stub.published).toHaveLength(soFar + 10);
  });
});
