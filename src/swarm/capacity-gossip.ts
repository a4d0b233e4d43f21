import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import {
  CAPACITY_TOPIC_COUNT,
  capacityTopic,
  openAnnouncement,
} from '../../protocols/capacity/index.ts';
import { isSwarmError } from '../../protocols/errors.ts';
import { GossipTopics } from './gossip-topics.ts';
import type { SwarmLibp2p } from './libp2p.ts';
import type { SwarmView } from './view.ts';

/** The capacity topics, which feed a view and which nodes announce themselves in. */
export function capacityGossip(
  libp2p: SwarmLibp2p,
  network: string,
  view: SwarmView,
): GossipTopics {
  return new GossipTopics(libp2p, {
    count: CAPACITY_TOPIC_COUNT,
    topicOf: (bucket) => capacityTopic(network, bucket),
    receive: (_bucket, bytes) => receive(view, bytes),
  });
}

/** What is wrong costs its sender's score, what is stale goes no further. */
async function receive(view: SwarmView, bytes: Uint8Array): Promise<TopicValidatorResult> {
  try {
    const announcement = await openAnnouncement(bytes);
    const fresh = view.add(announcement, bytes, Date.now());
    return fresh ? TopicValidatorResult.Accept : TopicValidatorResult.Ignore;
  } catch (error) {
    return isSwarmError(error) ? TopicValidatorResult.Reject : TopicValidatorResult.Ignore;
  }
}
