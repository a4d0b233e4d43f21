import type { VersionCid } from '../types.ts';

/**
 * Number of gossip topics that announcements are spread over.
 *
 * One topic for all costs each of 100 nodes 340 KB/s at one message a second; ten topics of ten, 28 KB/s: traffic per node
 * must not grow with the swarm. Sixteen keeps a bootstrap server, which joins all, cheap.
 */
export const CAPACITY_TOPIC_COUNT = 16;

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

/** The bucket of a version, or of a node that holds none: FNV-1a over the text, the same on every peer. */
export function capacityBucket(id: VersionCid | string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < id.length; index += 1) {
    hash ^= id.charCodeAt(index);
    hash = Math.imul(hash, 0x01000193) >>> 0;
  }
  return hash % CAPACITY_TOPIC_COUNT;
}
