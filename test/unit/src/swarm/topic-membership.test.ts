import { describe, expect, it } from 'vitest';
import { capacityBucket, capacityTopic } from '../../../../protocols/capacity/index.ts';
import { cidOfDigest, sha256 } from '../../../../protocols/digest.ts';
import type { PublisherId, VersionCid } from '../../../../protocols/types.ts';
import { GossipTopics } from '../../../../src/swarm/gossip-topics.ts';
import {
  TOPIC_LINGER_MS,
  type TopicMember,
  TopicMembership,
  type TopicUse,
} from '../../../../src/swarm/topic-membership.ts';
import { GossipStub } from '../../../support/gossip-stub.ts';

const publisher = 'publisher' as PublisherId;

/** Versions of as many names. */
const versions: readonly Required<TopicUse>[] = Array.from({ length: 50 }, (_, index) => ({
  ...{ publisher, name: `model-${index}` },
  cid: cidOfDigest(sha256(Buffer.from(`${index}`))).toString() as VersionCid,
}));

function prepare() {
  const stub = new GossipStub();
  const topics = (kind: string): GossipTopics =>
    new GossipTopics(stub.libp2p, {
      count: 16,
      topicOf: (bucket) =>
        kind === 'capacity' ? capacityTopic('main', bucket) : `${kind}/${bucket}`,
      receive: () => Promise.reject(new Error('nothing is said here')),
    });
  const [gossip, demand, releases, outcomes] = ['capacity', 'demand', 'release', 'outcome'].map(
    topics,
  ) as [GossipTopics, GossipTopics, GossipTopics, GossipTopics];
  const named = (one: GossipTopics) => ({
    join: (_publisher: string, name: string, nowMs?: number) =>
      one.join(Number(name.slice('model-'.length)) % 16, nowMs),
    leaveUnused: (sinceMs: number) => one.leaveUnused(sinceMs),
  });
  const [releaseGossip, outcomeWatch] = [named(releases), named(outcomes)];
  const member = {
    gossip,
    demand: {
      join: (cid: VersionCid, nowMs?: number) => demand.join(capacityBucket(cid), nowMs),
      leaveUnused: (sinceMs: number) => demand.leaveUnused(sinceMs),
    },
    ...{ releaseGossip, outcomes: outcomeWatch },
    follow: (by: string, name: string, nowMs?: number) => {
      releaseGossip.join(by, name, nowMs);
      outcomeWatch.join(by, name, nowMs);
    },
  } as unknown as TopicMember;
  const membership = new TopicMembership(member);
  return { stub, gossip, membership, [Symbol.asyncDispose]: () => membership.stop() };
}

describe('TopicMembership', () => {
  it('is in few topics while a node holds one version of many after the other', async () => {
    await using made = prepare();
    const { stub, membership } = made;
    const startMs = performance.now();
    let held = versions.slice(0, 1);
    membership.keep(() => held);
    let most = 0;
    for (const [index] of versions.entries()) {
      held = versions.slice(index, index + 1);
      await membership.look(startMs + (index * TOPIC_LINGER_MS) / 2);
      most = Math.max(most, stub.topics.size);
    }
    // One of each of four kinds for the version held, and for those of the time that topics linger.
    expect(most).toBeLessThanOrEqual(4 * 3);
    expect(stub.topics.size).toBeGreaterThan(0);
    held = [];
    await membership.look(startMs + versions.length * TOPIC_LINGER_MS);
    expect([...stub.topics]).toEqual([]);
  });

  it('leaves no topic that was needed of late, none that is for good, and none of what is still used', async () => {
    await using made = prepare();
    const { stub, gossip, membership } = made;
    const nowMs = performance.now();
    gossip.join(1, nowMs);
    gossip.join(2, Number.POSITIVE_INFINITY);
    gossip.join(2, nowMs);
    membership.keep(() => versions.slice(0, 1));
    await membership.look(nowMs + TOPIC_LINGER_MS - 1);
    expect(stub.topics).toContain(capacityTopic('main', 1));
    await membership.look(nowMs + TOPIC_LINGER_MS + 1);
    expect(stub.topics).not.toContain(capacityTopic('main', 1));
    expect(stub.topics).toContain(capacityTopic('main', 2));
    expect(gossip.has(capacityBucket(versions[0]?.cid ?? ''))).toBe(true);
    await expect(stub.hear(capacityTopic('main', 1), new Uint8Array())).rejects.toThrow(
      'not joined',
    );
  });

  it('leaves nothing while somebody cannot say what it uses, and asks nobody who ended', async () => {
    await using made = prepare();
    const { gossip, membership } = made;
    const nowMs = performance.now();
    gossip.join(1, nowMs);
    const end = membership.keep(() => Promise.reject(new Error('the store is closed')));
    await membership.look(nowMs + 2 * TOPIC_LINGER_MS);
    expect(gossip.has(1)).toBe(true);
    end();
    await membership.look(nowMs + 2 * TOPIC_LINGER_MS);
    expect(gossip.has(1)).toBe(false);
  });
});
