import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import {
  CAPACITY_TOPIC_COUNT,
  capacityTopic,
  openAnnouncement,
} from '../../protocols/capacity/index.ts';
import { isSwarmError } from '../../protocols/errors.ts';
import { isDeathReport } from '../../protocols/liveness/index.ts';
import { GossipTopics } from './gossip-topics.ts';
import type { SwarmPeer } from './peer.ts';

type CapacityPeer = Pick<SwarmPeer, 'libp2p' | 'network' | 'view' | 'liveness'>;

/** The capacity topics, which feed a view, and which nodes announce themselves in and are reported gone in. */
export function capacityGossip(peer: CapacityPeer): GossipTopics {
  return new GossipTopics(peer.libp2p, {
    count: CAPACITY_TOPIC_COUNT,
    topicOf: (bucket) => capacityTopic(peer.network, bucket),
    receive: async (_bucket, bytes, from) =>
      isDeathReport(bytes)
        ? peer.liveness.reports.receive(bytes, from)
        : receiveAnnouncement(peer, bytes),
  });
}

/** What is wrong costs its sender's score, what is stale goes no further. */
async function receiveAnnouncement(
  { view, liveness }: CapacityPeer,
  bytes: Uint8Array,
): Promise<TopicValidatorResult> {
  try {
    const announcement = await openAnnouncement(bytes);
    const fresh = view.add(announcement, bytes, Date.now());
    if (!fresh || !(await liveness.admit(announcement.node))) return TopicValidatorResult.Ignore;
    return TopicValidatorResult.Accept;
  } catch (error) {
    return isSwarmError(error) ? TopicValidatorResult.Reject : TopicValidatorResult.Ignore;
  }
}
