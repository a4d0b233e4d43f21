import type { ReplicaState } from '../../../protocols/capacity/index.ts';
import type { SentDigest, SimReplica } from './sim-replica.ts';
import type { GossipSpec } from './swarm-scenario.ts';

/** Milliseconds after which a change that a peer missed is told again: an announcement is due. */
const REPEAT_MS = 2_000;

/** Times the mean above the least after which what was not lost has come: one in 20 000 would take longer. */
const LATEST = 10;

/** Changes and digests are numbered apart, and so are notices. */
const CHANGES = 0x1000_0000;

/**
 * When what one peer told reaches another. Nothing is kept for it: delay and loss of each message to each peer come from a hash of
 * who, whom and which, so that millions of them cost nothing until somebody asks.
 */
export class GossipModel {
  readonly #spec: GossipSpec;
  readonly #seed: number;
  /** Milliseconds after which nobody asks any more when a message came. */
  readonly #latestMs: number;

  constructor(spec: GossipSpec, seed: number) {
    this.#spec = spec;
    this.#seed = seed;
    const { leastDelayMs, meanDelayMs } = spec;
    this.#latestMs = leastDelayMs + LATEST * (meanDelayMs - leastDelayMs);
  }

  /** The newest digest of a replica that a node has heard; undefined for none. */
  digestOf(replica: SimReplica, to: number, nowMs: number): SentDigest | undefined {
    const { digests } = replica;
    for (let index = digests.length - 1; index >= 0; index -= 1) {
      const digest = digests[index];
      if (digest === undefined) continue;
      if (
        replica.node === to ||
        this.#arrived(replica.index, to, digest.number, digest.atMs, nowMs)
      ) {
        return digest;
      }
    }
    return undefined;
  }

  /** The state of a replica that a node knows of. */
  stateOf(replica: SimReplica, to: number, nowMs: number): ReplicaState {
    if (replica.node === to) return replica.state;
    if (nowMs >= replica.changedAtMs + this.#latestMs + REPEAT_MS) return replica.state;
    const heardMs = this.delayMs(replica.index, to, CHANGES + replica.changes);
    return nowMs >= replica.changedAtMs + heardMs ? replica.state : replica.stateBefore;
  }

  /** Milliseconds until a peer has heard, with the repeat that comes where the first was lost. */
  delayMs(from: number, to: number, number: number): number {
    const lost = this.#isLost(from, to, number);
    return this.#delayMs(from, to, number) + (lost ? REPEAT_MS : 0);
  }

  #arrived(from: number, to: number, number: number, atMs: number, nowMs: number): boolean {
    if (nowMs < atMs + this.#spec.leastDelayMs || this.#isLost(from, to, number)) return false;
    return nowMs >= atMs + this.#latestMs || nowMs >= atMs + this.#delayMs(from, to, number);
  }

  #isLost(from: number, to: number, number: number): boolean {
    return hashShare(from, to, number, this.#seed ^ 0x5bd1_e995) < this.#spec.loss;
  }

  #delayMs(from: number, to: number, number: number): number {
    const { leastDelayMs, meanDelayMs } = this.#spec;
    const share = hashShare(from, to, number, this.#seed);
    const delayMs = leastDelayMs - Math.log(1 - share) * (meanDelayMs - leastDelayMs);
    return Math.min(this.#latestMs, delayMs);
  }
}

/** From 0 to below 1, the same for the same numbers. */
export function hashShare(a: number, b: number, c: number, seed: number): number {
  let bits = Math.imul(a ^ seed, 0x9e37_79b1);
  bits = Math.imul(bits ^ (bits >>> 15) ^ b, 0x85eb_ca6b);
  bits = Math.imul(bits ^ (bits >>> 13) ^ c, 0xc2b2_ae35);
  bits = Math.imul(bits ^ (bits >>> 16), 0x27d4_eb2f);
  return ((bits ^ (bits >>> 15)) >>> 0) / 2 ** 32;
}
