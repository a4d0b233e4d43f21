import { TOPIC_BUCKET_COUNT, topicBucket } from '../topic-bucket.ts';
import type { VersionCid } from '../types.ts';

/** Number of gossip topics that announcements are spread over. */
export const CAPACITY_TOPIC_COUNT: number = TOPIC_BUCKET_COUNT;

/** The topic of a bucket, 0 to `CAPACITY_TOPIC_COUNT - 1`. */
export function capacityTopic(network: string, bucket: number): string {
  return `/gpu-swarm/${network}/capacity/${bucket}`;
}

/** All capacity topics of a network. */
export function capacityTopics(network: string): string[] {
  return Array.from({ length: CAPACITY_TOPIC_COUNT }, (_, bucket) =>
    capacityTopic(network, bucket),
  );
}

/** The bucket of a version, or of a node that holds none. */
export function capacityBucket(id: VersionCid | string): number {
  return topicBucket(id);
}
