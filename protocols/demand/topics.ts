import { TOPIC_BUCKET_COUNT, topicBucket } from '../topic-bucket.ts';
import type { VersionCid } from '../types.ts';

/** Number of gossip topics that demand digests are spread over. */
export const DEMAND_TOPIC_COUNT: number = TOPIC_BUCKET_COUNT;

/** The topic of a bucket, 0 to `DEMAND_TOPIC_COUNT - 1`. */
export function demandTopic(network: string, bucket: number): string {
  return `/gpu-swarm/${network}/demand/${bucket}`;
}

/** The bucket of a version. */
export function demandBucket(cid: VersionCid): number {
  return topicBucket(cid);
}

/** The one topic that every node joins: what lacks replicas is told to those that do not hold it. */
export function recruitTopic(network: string): string {
  return `/gpu-swarm/${network}/recruit`;
}
