import { capacityBucket } from '../../protocols/capacity/index.ts';
import type { PublisherId, VersionCid } from '../../protocols/types.ts';
import type { SwarmPeer } from './peer.ts';

/** Milliseconds for which topics that nobody needs any more are heard: who comes back within minutes has missed nothing. */
export const TOPIC_LINGER_MS = 600_000;

/** Milliseconds between two looks at what is needed: some within the time for which one need holds. */
const LOOK_INTERVAL_MS = TOPIC_LINGER_MS / 10;

/** A model whose releases and outcomes are to be heard, and with a version those who hold it and what it is asked for. */
export interface TopicUse {
  readonly publisher: PublisherId;
  readonly name: string;
  readonly cid?: VersionCid | undefined;
}

/** What is needed now; asked again and again. */
export type TopicUses = () => Iterable<TopicUse> | Promise<Iterable<TopicUse>>;

export type TopicMember = Pick<
  SwarmPeer,
  'gossip' | 'demand' | 'releaseGossip' | 'outcomes' | 'follow'
>;

/**
 * Keeps a peer in the gossip topics of what it uses, and has it leave the others: each costs it, and those it relays for, a share of
 * all that is said in them.
 *
 * Whoever joins a topic needs it for a while; whoever needs it for longer joins again, or is asked here. What must be heard for good
 * says so to the topics themselves.
 */
export class TopicMembership {
  readonly #peer: TopicMember;
  readonly #uses = new Set<TopicUses>();
  readonly #timer: NodeJS.Timeout;
  #looking: Promise<void> = Promise.resolve();

  constructor(peer: TopicMember) {
    this.#peer = peer;
    this.#timer = setInterval(() => void this.look(performance.now()), LOOK_INTERVAL_MS);
    this.#timer.unref();
  }

  /** Asks from now on what is needed; returns what ends it. */
  keep(uses: TopicUses): () => void {
    this.#uses.add(uses);
    return () => this.#uses.delete(uses);
  }

  /**
   * Joins what is needed, and leaves what nobody needed of late. One look after the other; never rejects.
   *
   * @param nowMs by the clock of `performance.now()`
   */
  look(nowMs: number): Promise<void> {
    this.#looking = this.#looking.then(() => this.#look(nowMs));
    return this.#looking;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#uses.clear();
    await this.#looking;
  }

  async #look(nowMs: number): Promise<void> {
    const { gossip, demand, releaseGossip, outcomes } = this.#peer;
    try {
      for (const uses of this.#uses) this.#join(await uses(), nowMs);
    } catch {
      // Who cannot say what is needed now, as a store that is closing, may need all there was: nothing is left in this look.
      return;
    }
    const beforeMs = nowMs - TOPIC_LINGER_MS;
    for (const topics of [gossip, demand, releaseGossip, outcomes]) topics.leaveUnused(beforeMs);
  }

  #join(uses: Iterable<TopicUse>, nowMs: number): void {
    for (const { publisher, name, cid } of uses) {
      this.#peer.follow(publisher, name, nowMs);
      if (cid === undefined) continue;
      this.#peer.gossip.join(capacityBucket(cid), nowMs);
      this.#peer.demand.join(cid, nowMs);
    }
  }
}
