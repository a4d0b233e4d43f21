import type { TopicValidatorFn, TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import type { PeerId } from '@libp2p/interface';
import type { SwarmLibp2p } from '../../src/swarm/libp2p.ts';

/** A peer's gossip without a network: what it publishes is kept, and what it hears is what a test says. */
export class GossipStub {
  readonly published: { readonly topic: string; readonly bytes: Uint8Array }[] = [];
  readonly topics = new Set<string>();
  readonly #validators = new Map<string, TopicValidatorFn>();

  /** A libp2p that has this gossip and nothing else. */
  get libp2p(): SwarmLibp2p {
    const gossip = {
      topicValidators: this.#validators,
      subscribe: (topic: string) => this.topics.add(topic),
      publish: async (topic: string, bytes: Uint8Array) => {
        this.published.push({ topic, bytes });
        return { recipients: [] };
      },
      getSubscribers: () => [],
    };
    return { services: { gossip } } as unknown as SwarmLibp2p;
  }

  /** What the peer decides about a message on a topic that it joined. */
  async hear(topic: string, data: Uint8Array): Promise<TopicValidatorResult> {
    const validate = this.#validators.get(topic);
    if (validate === undefined) throw new Error(`the peer has not joined ${topic}`);
    return validate({} as PeerId, { type: 'unsigned', topic, data });
  }
}
