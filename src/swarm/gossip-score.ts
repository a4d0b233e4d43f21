import { createTopicScoreParams, type TopicScoreParams } from '@chainsafe/libp2p-gossipsub/score';
import { CAPACITY_TOPIC_COUNT, capacityTopic } from '../../protocols/capacity/index.ts';
import { DEMAND_TOPIC_COUNT, demandTopic, recruitTopic } from '../../protocols/demand/index.ts';
import { OUTCOME_TOPIC_COUNT, outcomeTopic } from '../../protocols/outcome/index.ts';
import { provisionTopic } from '../../protocols/provision/index.ts';
import { RELEASE_TOPIC_COUNT, releaseTopic } from '../../protocols/release/index.ts';

/**
 * Of what a topic counts for, invalid messages alone: squared, a tenth of them forgotten each second. Ten at once, or one each
 * second for good, and their sender is not heard any more (-80); who relays looks first, so it sends none that others made.
 * How much comes from whom says nothing here: announcements and digests are rare by design.
 */
const INVALID_MESSAGES: TopicScoreParams = createTopicScoreParams({
  topicWeight: 1,
  invalidMessageDeliveriesWeight: -1,
  invalidMessageDeliveriesDecay: 0.9,
  timeInMeshWeight: 0,
  firstMessageDeliveriesWeight: 0,
  meshMessageDeliveriesWeight: 0,
  meshFailurePenaltyWeight: 0,
});

/** The topics that peers are scored on, which is all of them: gossipsub keeps no count of a topic that is not named to it. */
export function scoredTopics(network: string): Record<string, TopicScoreParams> {
  const bucketed = [
    [CAPACITY_TOPIC_COUNT, capacityTopic],
    [DEMAND_TOPIC_COUNT, demandTopic],
    [OUTCOME_TOPIC_COUNT, outcomeTopic],
    [RELEASE_TOPIC_COUNT, releaseTopic],
  ] as const;
  const topics = bucketed.flatMap(([count, topicOf]) =>
    Array.from({ length: count }, (_, bucket) => topicOf(network, bucket)),
  );
  return Object.fromEntries(
    [...topics, recruitTopic(network), provisionTopic(network)].map((topic) => [
      topic,
      INVALID_MESSAGES,
    ]),
  );
}
