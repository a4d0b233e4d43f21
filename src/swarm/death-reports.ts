import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import { BoundedMap } from '../../protocols/bounded-map.ts';
import { capacityBucket } from '../../protocols/capacity/index.ts';
import { decodeDeathReport, encodeDeathReport } from '../../protocols/liveness/index.ts';
import { TokenBucket } from '../../protocols/token-bucket.ts';
import type { NodeId, VersionCid } from '../../protocols/types.ts';
import type { GossipTopics } from './gossip-topics.ts';

/** Milliseconds in which a report is told at a moment of its own, so that not all who miss a node tell it at once. */
const TELL_WITHIN_MS = 400;

/**
 * Others that have told of a death after which it need not be told again: what they told has reached, or will, whoever is to hear it.
 *
 * @see RFC 6206, "The Trickle Algorithm", 2011: the redundancy constant
 */
const ENOUGH_TELLERS = 2;

/** Reports a second that one peer may pass on, and saved up: a rack that loses its power is a hundred. */
const REPORT_RATE = { perSecond: 10, burst: 200 };

/** Of them that may turn out false: a peer behind a broken path means no harm, one that goes on is not listened to. */
const FALSE_RATE = { perSecond: 0.1, burst: 8 };

/** Tellers, and nodes told of, that are remembered; the ones heard of longest ago go first. */
const MAX_REMEMBERED = 4096;

export interface DeathReportsComponents {
  readonly topics: () => Pick<GossipTopics, 'has' | 'publish'>;
  /** Looks for the node itself; true when it is gone, undefined when it is not known here. */
  readonly verify: (node: NodeId) => Promise<boolean | undefined>;
}

interface Teller {
  readonly reports: TokenBucket;
  readonly falsehoods: TokenBucket;
}

/**
 * Tells the listeners of a node's topics that it is gone, and hears it from others. A report is a reason to look, and nothing more:
 * each passes on only what it found itself, so a false one reaches nobody but the neighbours of whoever made it up.
 */
export class DeathReports {
  readonly #components: DeathReportsComponents;
  readonly #tellers = new BoundedMap<string, Teller>(MAX_REMEMBERED);
  /** Who told of which node of late. */
  readonly #told = new BoundedMap<NodeId, Set<string>>(MAX_REMEMBERED);
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(components: DeathReportsComponents) {
    this.#components = components;
  }

  /** Takes in what a peer passed on. It goes no further from here: when it is true, this peer tells it too. */
  receive(bytes: Uint8Array, from: string): TopicValidatorResult {
    let node: NodeId;
    try {
      ({ node } = decodeDeathReport(bytes));
    } catch {
      return TopicValidatorResult.Reject;
    }
    const teller = this.#teller(from);
    const nowMs = performance.now();
    if (teller.falsehoods.waitMs(nowMs) === 0 && teller.reports.takeWhole(1, nowMs)) {
      const told = this.#told.get(node) ?? new Set<string>();
      if (told.size < ENOUGH_TELLERS) told.add(from);
      this.#told.set(node, told);
      void this.#verify(node, teller);
    }
    return TopicValidatorResult.Ignore;
  }

  /** Tells in the topics of what the node held, in a moment, unless enough others do. */
  tell(node: NodeId, held: readonly VersionCid[]): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      const enough = (this.#told.get(node)?.size ?? 0) >= ENOUGH_TELLERS;
      this.#told.delete(node);
      if (!enough) void this.#publish(node, held);
    }, Math.random() * TELL_WITHIN_MS);
    timer.unref();
    this.#timers.add(timer);
  }

  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  async #verify(node: NodeId, teller: Teller): Promise<void> {
    const gone = await this.#components.verify(node);
    if (gone === false) {
      this.#told.delete(node);
      teller.falsehoods.take(1, performance.now());
    }
  }

  async #publish(node: NodeId, held: readonly VersionCid[]): Promise<void> {
    const topics = this.#components.topics();
    const salt = Math.floor(Math.random() * 2 ** 32);
    const report = encodeDeathReport({ node, salt });
    for (const bucket of new Set([node, ...held].map(capacityBucket))) {
      if (!topics.has(bucket)) continue;
      try {
        await topics.publish(bucket, report);
      } catch {
        // Gossip that is stopping, or full: others miss the node too, and its lease ends.
      }
    }
  }

  #teller(from: string): Teller {
    const teller = this.#tellers.get(from) ?? {
      reports: new TokenBucket(REPORT_RATE.perSecond, REPORT_RATE.burst),
      falsehoods: new TokenBucket(FALSE_RATE.perSecond, FALSE_RATE.burst),
    };
    // Setting it again moves it to the end: whoever goes on being wrong is not forgotten, and so believed anew.
    this.#tellers.set(from, teller);
    return teller;
  }
}
