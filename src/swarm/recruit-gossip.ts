import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import type { PrivateKey } from '@libp2p/interface';
import { BoundedMap } from '../../protocols/bounded-map.ts';
import {
  openRecruit,
  type RecruitNotice,
  recruitTopic,
  signRecruit,
} from '../../protocols/demand/index.ts';
import { isSwarmError } from '../../protocols/errors.ts';
import { TokenBucket } from '../../protocols/token-bucket.ts';
import type { NodeId } from '../../protocols/types.ts';
import { GossipTopics } from './gossip-topics.ts';
import type { SwarmLibp2p } from './libp2p.ts';

/** Notices that are checked a second, and at once: every node hears all of them. */
const TOPIC_RATE = { perSecond: 20, burst: 100 };

/** Versions of models, and reporters, remembered; the ones heard of longest ago go first. */
const MAX_REMEMBERED = 4_096;

/** What a notice is about: the version of one model. Who makes a model up silences nobody who speaks of the true one. */
type Subject = Pick<RecruitNotice, 'publisher' | 'name' | 'cid'>;

export interface RecruitGossipInit {
  readonly network: string;
  readonly privateKey: PrivateKey;
  /** Milliseconds between two notices about one version: what comes sooner goes no further. */
  readonly intervalMs: number;
}

/** The one topic on which nodes hear of versions that lack replicas, whether they hold them or not. */
export class RecruitGossip {
  readonly #init: RecruitGossipInit;
  readonly #topics: GossipTopics;
  readonly #rate = new TokenBucket(TOPIC_RATE.perSecond, TOPIC_RATE.burst);
  readonly #sequences = new BoundedMap<NodeId, number>(MAX_REMEMBERED);
  /** When a version of a model was last spoken of, by anybody. */
  readonly #spokenAtMs = new BoundedMap<string, number>(MAX_REMEMBERED);
  readonly #listeners = new Set<(notice: RecruitNotice) => void>();
  #sequence = 0;

  constructor(libp2p: SwarmLibp2p, init: RecruitGossipInit) {
    this.#init = init;
    this.#topics = new GossipTopics(libp2p, {
      count: 1,
      topicOf: () => recruitTopic(init.network),
      receive: (_bucket, bytes) => this.#receive(bytes),
    });
  }

  /** Hears and relays. */
  join(): void {
    this.#topics.join(0, Number.POSITIVE_INFINITY);
  }

  /** Calls back for each notice of another peer; returns the function that ends it. */
  onNotice(listener: (notice: RecruitNotice) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Milliseconds since 1970 when a version of a model was last spoken of; 0 for never. */
  spokenAtMs(subject: Subject): number {
    return this.#spokenAtMs.get(keyOf(subject)) ?? 0;
  }

  /**
   * Tells all nodes that a version lacks replicas; nothing is said where somebody has just said so.
   *
   * @throws {ERR_INVALID_RECORD} when a field is out of bounds.
   */
  async publish(notice: Omit<RecruitNotice, 'reporter' | 'sequence'>): Promise<void> {
    if (this.#isTooSoon(notice)) return;
    this.#sequence = Math.max(this.#sequence + 1, Date.now());
    const bytes = await signRecruit({ ...notice, sequence: this.#sequence }, this.#init.privateKey);
    this.#spokenAtMs.set(keyOf(notice), Date.now());
    await this.#topics.publish(0, bytes);
  }

  /** Half of the interval: two clocks that run apart must not silence each other for good. */
  #isTooSoon(subject: Subject): boolean {
    return Date.now() - this.spokenAtMs(subject) < this.#init.intervalMs / 2;
  }

  /** What is forged costs its sender's score; what is old, or was said just now, goes no further. */
  async #receive(bytes: Uint8Array): Promise<TopicValidatorResult> {
    if (!this.#rate.takeWhole(1, performance.now())) return TopicValidatorResult.Ignore;
    try {
      const notice = await openRecruit(bytes);
      const { reporter, sequence } = notice;
      if (sequence <= (this.#sequences.get(reporter) ?? 0)) return TopicValidatorResult.Ignore;
      this.#sequences.set(reporter, sequence);
      if (this.#isTooSoon(notice)) return TopicValidatorResult.Ignore;
      this.#spokenAtMs.set(keyOf(notice), Date.now());
      for (const listener of this.#listeners) listener(notice);
      return TopicValidatorResult.Accept;
    } catch (error) {
      return isSwarmError(error) ? TopicValidatorResult.Reject : TopicValidatorResult.Ignore;
    }
  }
}

function keyOf({ publisher, name, cid }: Subject): string {
  return `${publisher}/${name}/${cid}`;
}
