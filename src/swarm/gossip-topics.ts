import type { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import type { SwarmLibp2p } from './libp2p.ts';

export interface GossipTopicsInit {
  /** Buckets, from 0. */
  readonly count: number;
  readonly topicOf: (bucket: number) => string;
  /** Decides about a message before it is relayed: what is rejected costs its sender's score, what is ignored goes no further. */
  readonly receive: (
    bucket: number,
    bytes: Uint8Array,
    /** Id of the peer that passed it on. */
    from: string,
  ) => Promise<TopicValidatorResult>;
}

/** The gossip topics of one kind of record, one for each bucket: each is heard while somebody needs it, see {@link TopicMembership}. */
export class GossipTopics {
  readonly #libp2p: SwarmLibp2p;
  readonly #init: GossipTopicsInit;
  /** When each was last needed, by `performance.now()`; infinity for those that are for good. */
  readonly #joined = new Map<number, number>();

  constructor(libp2p: SwarmLibp2p, init: GossipTopicsInit) {
    this.#libp2p = libp2p;
    this.#init = init;
  }

  /**
   * Hears and relays what comes in a bucket's topic, for some minutes: who needs it for longer joins again.
   *
   * @param nowMs by `performance.now()`; infinity for good
   */
  join(bucket: number, nowMs = performance.now()): void {
    const known = this.#joined.get(bucket);
    this.#joined.set(bucket, Math.max(known ?? 0, nowMs));
    if (known !== undefined) return;
    const { gossip } = this.#libp2p.services;
    const topic = this.#init.topicOf(bucket);
    gossip.topicValidators.set(topic, async (peer, message) =>
      this.#init.receive(bucket, message.data, peer.toString()),
    );
    gossip.subscribe(topic);
  }

  /** @param nowMs as of {@link join} */
  joinAll(nowMs = performance.now()): void {
    for (let bucket = 0; bucket < this.#init.count; bucket += 1) this.join(bucket, nowMs);
  }

  /** Leaves those that nobody has needed since. */
  leaveUnused(sinceMs: number): void {
    const { gossip } = this.#libp2p.services;
    for (const [bucket, neededAtMs] of [...this.#joined]) {
      if (neededAtMs >= sinceMs) continue;
      this.#joined.delete(bucket);
      const topic = this.#init.topicOf(bucket);
      gossip.unsubscribe(topic);
      gossip.topicValidators.delete(topic);
    }
  }

  has(bucket: number): boolean {
    return this.#joined.has(bucket);
  }

  /**
   * Sends signed bytes to a bucket's topic; with nobody there it is a no-op. False when a subscriber was not sent them: a peer's
   * subscriptions may be heard before there is a stream to it, and gossipsub then sends it nothing and keeps nothing for it.
   */
  async publish(bucket: number, bytes: Uint8Array): Promise<boolean> {
    const { gossip } = this.#libp2p.services;
    const topic = this.#init.topicOf(bucket);
    const { recipients } = await gossip.publish(topic, bytes);
    return recipients.length >= gossip.getSubscribers(topic).length;
  }
}
