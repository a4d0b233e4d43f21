import { expect, it } from 'vitest';
import { capacityBucket } from '../../protocols/capacity/index.ts';
import { TOPIC_LINGER_MS } from '../../src/swarm/topic-membership.ts';
import { present } from '../support/present.ts';
import { createTestnet } from '../support/testnet.ts';

it('A peer leaves the topics of what it uses no more, and hears again of a node whose topic it joins anew', async () => {
  await using testnet = await createTestnet({ nodes: 1, clients: 0 });
  const node = present(testnet.nodes[0]);
  const peer = await testnet.addPeer();
  const { gossip } = peer.libp2p.services;
  const heardAtMs = () => peer.view.node(node.id, Date.now())?.heardAtMs ?? 0;
  const join = () => {
    peer.follow('publisher', 'model');
    peer.gossip.join(capacityBucket(node.id));
  };
  join();
  await expect.poll(heardAtMs, { timeout: 20_000 }).toBeGreaterThan(0);
  expect(gossip.getTopics()).toHaveLength(3);
  await peer.topics.look(performance.now() + TOPIC_LINGER_MS + 1);
  expect(gossip.getTopics()).toEqual([]);
  const leftAtMs = Date.now();
  join();
  expect(gossip.getTopics()).toHaveLength(3);
  await expect.poll(heardAtMs, { timeout: 20_000 }).toBeGreaterThan(leftAtMs);
});
