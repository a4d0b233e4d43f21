import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import { capacityTopic, openAnnouncement } from '../../protocols/capacity/index.ts';
import { isSwarmError } from '../../protocols/errors.ts';
import type { SwarmLibp2p } from './libp2p.ts';
import type { SwarmView } from './view.ts';

/** Feeds a view from the capacity topics this peer joins, and publishes its own announcements there. */
export class CapacityGossip {
  readonly #libp2p: SwarmLibp2p;
  readonly #network: string;
  readonly #view: SwarmView;
  readonly #joined = new Set<number>();

  constructor(libp2p: SwarmLibp2p, network: string, view: SwarmView) {
    this.#libp2p = libp2p;
    this.#network = network;
    this.#view = view;
  }

  /** Hears and relays the announcements of a bucket. */
  join(bucket: number): void {
    if (this.#joined.has(bucket)) return;
    this.#joined.add(bucket);
    const topic = capacityTopic(this.#network, bucket);
    this.#libp2p.services.gossip.topicValidators.set(topic, async (_peer, message) =>
      this.#receive(message.data),
    );
    this.#libp2p.services.gossip.subscribe(topic);
  }

  /** Publishes signed bytes on a bucket's topic; with nobody there it is a no-op. */
  async publish(bucket: number, bytes: Uint8Array): Promise<void> {
    await this.#libp2p.services.gossip.publish(capacityTopic(this.#network, bucket), bytes);
  }

  /** Checks before relaying: what is wrong costs its sender's score, what is stale goes no further. */
  async #receive(bytes: Uint8Array): Promise<TopicValidatorResult> {
    try {
      const announcement = await openAnnouncement(bytes);
      const fresh = this.#view.add(announcement, bytes, Date.now());
      return fresh ? TopicValidatorResult.Accept : TopicValidatorResult.Ignore;
    } catch (error) {
      if (isSwarmError(error)) return TopicValidatorResult.Reject;
      return TopicValidatorResult.Ignore;
    }
  }
}
