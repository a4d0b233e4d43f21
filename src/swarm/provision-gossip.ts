import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import type { PrivateKey } from '@libp2p/interface';
import { BoundedMap } from '../../protocols/bounded-map.ts';
import { isSwarmError } from '../../protocols/errors.ts';
import {
  type HookKey,
  isOfHook,
  namesHook,
  openProvision,
  type ProvisionHeartbeat,
  provisionTopic,
  signProvision,
} from '../../protocols/provision/index.ts';
import { TokenBucket } from '../../protocols/token-bucket.ts';
import type { NodeId } from '../../protocols/types.ts';
import { GossipTopics } from './gossip-topics.ts';
import { peerIdText } from './identity.ts';
import type { SwarmLibp2p } from './libp2p.ts';

/** Heartbeats that are checked a second, and at once: a hundred peers with hooks send as many. */
const TOPIC_RATE = { perSecond: 20, burst: 100 };

/** Reporters whose last heartbeat is remembered; the ones heard longest ago go first. */
const MAX_REPORTERS = 4_096;

export interface ProvisionGossipInit {
  readonly network: string;
  readonly privateKey: PrivateKey;
}

interface Hearing {
  readonly key: HookKey;
  readonly listener: (heartbeat: ProvisionHeartbeat) => void;
}

/** The one topic on which those with a hook tell each other that they live; bootstrap servers pass it on between them. */
export class ProvisionGossip {
  readonly network: string;
  readonly id: NodeId;
  readonly #privateKey: PrivateKey;
  readonly #topics: GossipTopics;
  readonly #rate = new TokenBucket(TOPIC_RATE.perSecond, TOPIC_RATE.burst);
  readonly #sequences = new BoundedMap<NodeId, number>(MAX_REPORTERS);
  readonly #hearings = new Set<Hearing>();
  #sequence = 0;

  constructor(libp2p: SwarmLibp2p, { network, privateKey }: ProvisionGossipInit) {
    this.network = network;
    this.id = peerIdText(privateKey) as NodeId;
    this.#privateKey = privateKey;
    this.#topics = new GossipTopics(libp2p, {
      count: 1,
      topicOf: () => provisionTopic(network),
      receive: (_bucket, bytes) => this.#receive(bytes),
    });
  }

  /** Hears and relays. */
  join(): void {
    this.#topics.join(0, Number.POSITIVE_INFINITY);
  }

  /** Calls back for each heartbeat of others that know a hook; returns the function that ends it. */
  onHeartbeat(key: HookKey, listener: (heartbeat: ProvisionHeartbeat) => void): () => void {
    const hearing = { key, listener };
    this.#hearings.add(hearing);
    return () => this.#hearings.delete(hearing);
  }

  /** Tells those that have the same hook that this peer lives, or that it leaves. */
  async publish(key: HookKey, { leaving }: Pick<ProvisionHeartbeat, 'leaving'>): Promise<void> {
    this.#sequence = Math.max(this.#sequence + 1, Date.now());
    const said = { sequence: this.#sequence, leaving };
    await this.#topics.publish(0, await signProvision(said, key, this.#privateKey));
  }

  /**
   * What nobody signed costs its sender's score. What is old goes no further, nor what has a wrong tag; but that costs nobody
   * anything, for who passed it on cannot tell.
   */
  async #receive(bytes: Uint8Array): Promise<TopicValidatorResult> {
    if (!this.#rate.takeWhole(1, performance.now())) return TopicValidatorResult.Ignore;
    try {
      const heartbeat = await openProvision(bytes);
      const { reporter, sequence } = heartbeat;
      if (reporter === this.id || sequence <= (this.#sequences.get(reporter) ?? 0)) {
        return TopicValidatorResult.Ignore;
      }
      const concerned = [...this.#hearings].filter(({ key }) => namesHook(heartbeat, key));
      if (concerned.some(({ key }) => !isOfHook(heartbeat, key))) {
        return TopicValidatorResult.Ignore;
      }
      this.#sequences.set(reporter, sequence);
      for (const { listener } of concerned) listener(heartbeat);
      return TopicValidatorResult.Accept;
    } catch (error) {
      return isSwarmError(error) ? TopicValidatorResult.Reject : TopicValidatorResult.Ignore;
    }
  }
}
