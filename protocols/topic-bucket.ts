/**
 * Number of gossip topics that the messages of one kind are spread over.
 *
 * One topic for all costs each of 100 nodes 340 KB/s at one message a second; ten topics of ten, 28 KB/s: traffic per node
 * must not grow with the swarm. Sixteen keeps a bootstrap server, which joins all, cheap.
 */
export const TOPIC_BUCKET_COUNT = 16;

/** The bucket of a version, a model or a node, from 0: FNV-1a over the text, the same on every peer. */
export function topicBucket(id: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < id.length; index += 1) {
    hash ^= id.charCodeAt(index);
    hash = Math.imul(hash, 0x01000193) >>> 0;
  }
  return hash % TOPIC_BUCKET_COUNT;
}
