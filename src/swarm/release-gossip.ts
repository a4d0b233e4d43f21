import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import {
  decodeRelease,
  RELEASE_TOPIC_COUNT,
  type ReleaseValidator,
  releaseBucket,
  releaseKey,
  releaseTopic,
} from '../../protocols/release/index.ts';
import { GossipTopics } from './gossip-topics.ts';
import type { SwarmLibp2p } from './libp2p.ts';
import type { ReleaseDirectory, SignedRelease } from './releases.ts';

export interface ReleaseGossipInit {
  readonly network: string;
  /** The DHT's own, so that both ways in agree on the highest sequence seen. */
  readonly validate: ReleaseValidator;
}

/**
 * Pushes release records to the peers that use their models, so that a move is known within moments. The DHT stays the
 * truth: whoever misses a push finds the record there.
 */
export class ReleaseGossip {
  readonly #topics: GossipTopics;
  readonly #releases: ReleaseDirectory;
  readonly #validate: ReleaseValidator;

  constructor(
    libp2p: SwarmLibp2p,
    releases: ReleaseDirectory,
    { network, validate }: ReleaseGossipInit,
  ) {
    this.#releases = releases;
    this.#validate = validate;
    this.#topics = new GossipTopics(libp2p, {
      count: RELEASE_TOPIC_COUNT,
      topicOf: (bucket) => releaseTopic(network, bucket),
      receive: (bucket, bytes) => this.#receive(bucket, bytes),
    });
    // A peer of the topic that learns a move by another way, from the DHT or from a snapshot, tells those who have not.
    releases.onChange(({ record, bytes }) => {
      const bucket = releaseBucket(record.publisher, record.name);
      if (this.#topics.has(bucket)) void this.#send(bucket, bytes);
    });
  }

  /** Hears and relays the records of a model's bucket. */
  join(publisher: string, name: string, nowMs?: number): void {
    this.#topics.join(releaseBucket(publisher, name), nowMs);
  }

  joinAll(nowMs?: number): void {
    this.#topics.joinAll(nowMs);
  }

  /** As {@link GossipTopics.leaveUnused}. */
  leaveUnused(sinceMs: number): void {
    this.#topics.leaveUnused(sinceMs);
  }

  /** Tells the peers of the model's topic; with nobody there it is a no-op. Never rejects: the DHT has the record. */
  async push({ record, bytes }: SignedRelease): Promise<void> {
    await this.#send(releaseBucket(record.publisher, record.name), bytes);
  }

  async #send(bucket: number, bytes: Uint8Array): Promise<void> {
    try {
      await this.#topics.publish(bucket, bytes);
    } catch {
      // A peer that is stopping, or a full outbound queue: whoever does not hear it asks the DHT within seconds.
    }
  }

  /** Checks as the DHT does before relaying: what is forged costs its sender's score, what is old goes no further. */
  async #receive(bucket: number, bytes: Uint8Array): Promise<TopicValidatorResult> {
    let model: { publisher: string; name: string };
    try {
      model = await decodeRelease(bytes, { nowMs: null });
    } catch {
      return TopicValidatorResult.Reject;
    }
    if (releaseBucket(model.publisher, model.name) !== bucket) return TopicValidatorResult.Reject;
    try {
      await this.#validate(releaseKey(model.publisher, model.name), bytes);
      await this.#releases.offer(bytes);
      return TopicValidatorResult.Accept;
    } catch {
      // Superseded or expired by this peer's clock: its sender may have seen less, or have another clock.
      return TopicValidatorResult.Ignore;
    }
  }
}
