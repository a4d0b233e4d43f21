import { TOPIC_BUCKET_COUNT, topicBucket } from '../../../protocols/topic-bucket.ts';
import type { SimVersion, SwarmState } from './swarm-state.ts';
import { EVENT } from './timeline.ts';

/** Bytes of a digest of one version, and of a notice, as signed: the vectors of the two records. */
export const DIGEST_BYTES = 340;
export const NOTICE_BYTES = 330;

/**
 * Times its own bytes that a message costs each peer of a topic, repeats and what the mesh says of it included. Measured with 20, 50 and 100
 * real peers, where it is the same: `npm run bench -- sim --only calibration`.
 */
export const COPIES = 5.6;

/** Notices a second that all nodes hear of all versions together. */
const NOTICE_RATE_PER_S = 2;

/** Milliseconds after a notice in which a node looks up what it needs to know of the version: its release and its manifest. */
const LEARNING_MS = 500;

/** What gossip costs: digests and notices, by the members of the topics they go to. */
export class GossipLedger {
  readonly #state: SwarmState;
  readonly #members = Array.from({ length: TOPIC_BUCKET_COUNT }, () => 0);
  #noticeRoom = NOTICE_RATE_PER_S;
  #noticesAtMs = 0;
  /** Bytes that reached peers, all of them together. */
  bytes = 0;
  /** Nodes that there are. */
  population = 0;

  constructor(state: SwarmState) {
    this.#state = state;
  }

  /** Counts who is in which topic, and who tells of which version; once a second is enough. */
  count(): void {
    const { nodes, versions } = this.#state;
    this.population = 0;
    const members = Array.from({ length: TOPIC_BUCKET_COUNT }, () => new Set<number>());
    for (const node of nodes) if (node.alive) this.population += 1;
    for (const version of versions) {
      version.reporters = 0;
      const bucket = topicBucket(version.cid);
      for (const replica of version.replicas.values()) {
        if (replica.state === 'gone' || !this.#state.isAlive(replica.node)) continue;
        members[bucket]?.add(replica.node);
        if (replica.told !== undefined) version.reporters += 1;
      }
    }
    for (const [bucket, found] of members.entries()) this.#members[bucket] = found.size;
  }

  /** A digest of a version is published. */
  digest(version: SimVersion): void {
    this.bytes += DIGEST_BYTES * COPIES * (this.#members[topicBucket(version.cid)] ?? 0);
  }

  /** A notice about a version is published, unless there were too many lately. */
  notice(version: SimVersion): void {
    const { nowMs } = this.#state;
    const gainedMs = nowMs - this.#noticesAtMs;
    this.#noticeRoom = Math.min(
      NOTICE_RATE_PER_S,
      this.#noticeRoom + (NOTICE_RATE_PER_S * gainedMs) / 1_000,
    );
    this.#noticesAtMs = nowMs;
    if (this.#noticeRoom < 1) return;
    this.#noticeRoom -= 1;
    this.bytes += NOTICE_BYTES * COPIES * this.population;
    version.noticeAtMs = nowMs;
    version.notices += 1;
    // Who could help looks at its plan when it hears, and not at the next tick.
    for (const other of this.#state.nodes) {
      if (!other.alive || other.replicas.has(version.index)) continue;
      if ((other.told.memoryFreeBytes ?? 0) < version.spec.memoryBytes) continue;
      const delayMs = this.#state.gossip.delayMs(
        noticeSource(version),
        other.index,
        version.notices,
      );
      this.#state.timeline.after(delayMs + LEARNING_MS, EVENT.noticed, other.index);
    }
  }
}

/** What stands for a version's notices where delays are drawn. */
export function noticeSource(version: SimVersion): number {
  return -3 - version.index;
}
