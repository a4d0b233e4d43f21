import { TOPIC_BUCKET_COUNT, topicBucket } from '../topic-bucket.ts';

/** Number of gossip topics that outcome digests are spread over. */
export const OUTCOME_TOPIC_COUNT: number = TOPIC_BUCKET_COUNT;

/** The topic of a bucket, 0 to `OUTCOME_TOPIC_COUNT - 1`. */
export function outcomeTopic(network: string, bucket: number): string {
  return `/gpu-swarm/${network}/outcome/${bucket}`;
}

/** The bucket of a model. */
export function outcomeBucket(publisher: string, name: string): number {
  return topicBucket(`${publisher}/${name}`);
}
