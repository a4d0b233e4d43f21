import type { TopicValidatorFn, TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import type { PeerId } from '@libp2p/interface';
import type { SwarmLibp2p } from '../../src/swarm/libp2p.ts';

/** A peer's gossip without a network: what it publishes is kept, and what it hears is what a test says. */
export class GossipStub {
  readonly published: { readonly topic: string; readonly bytes: Uint8Array }[] = [];
  readonly topics = new Set<string>();
  /** Peers that listen to every topic, and whether there is a stream to each: one without is sent nothing. */
  readonly subscribers = new Map<string, { reachable: boolean }>();
  readonly events = new EventTarget();
  readonly #validators = new Map<string, TopicValidatorFn>();

  /** A libp2p that has this gossip and nothing else. */
  get libp2p(): SwarmLibp2p {
    const gossip = {
      topicValidators: this.#validators,
      subscribe: (topic: string) => this.topics.add(topic),
      unsubscribe: (topic: string) => this.topics.delete(topic),
      publish: async (topic: string, bytes: Uint8Array) => {
        this.published.push({ topic, bytes });
        const recipients = [...this.subscribers].filter(([, { reachable }]) => reachable);
        return { recipients };
      },
      getSubscribers: () => [...this.subscribers.keys()],
      addEventListener: this.events.addEventListener.bind(this.events),
      removeEventListener: this.events.removeEventListener.bind(this.events),
    };
    return { services: { gossip }, getMultiaddrs: () => [] } as unknown as SwarmLibp2p;
  }

  /** What the peer decides about a message on a topic that it joined. */
  async hear(topic: string, data: Uint8Array): Promise<TopicValidatorResult> {
    const validate = this.#validators.get(topic);
    if (validate === undefined) throw new Error(`the peer has not joined ${topic}`);
    return validate({} as PeerId, { type: 'unsigned', topic, data });
  }
}
