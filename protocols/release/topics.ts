import { TOPIC_BUCKET_COUNT, topicBucket } from '../topic-bucket.ts';

/** Number of gossip topics that release records are pushed on. */
export const RELEASE_TOPIC_COUNT: number = TOPIC_BUCKET_COUNT;

/** The topic of a bucket, 0 to `RELEASE_TOPIC_COUNT - 1`. */
export function releaseTopic(network: string, bucket: number): string {
  return `/gpu-swarm/${network}/release/${bucket}`;
}

/** The bucket of a model. */
export function releaseBucket(publisher: string, name: string): number {
  return topicBucket(`${publisher}/${name}`);
}
