import { BoundedMap } from '../bounded-map.ts';

/** Blocks remembered; the one noted longest ago goes first. */
const MAX_GIVEN = 4_096;

/** Milliseconds that a block which was promised to one peer waits for its turn until another peer may have it too. */
const PROMISE_MS = 30_000;

/** Milliseconds that a peer has to pass a block on before it is given a second time. */
const SPREAD_MS = 5_000;

interface Given {
  readonly peer: string;
  readonly promisedAtMs: number;
  sentAtMs: number | undefined;
}

/**
 * What a server whose bandwidth is short gave to whom a moment ago: while many want the same version, each block is given
 * once, and the peers give it to each other. Pure: times are arguments.
 *
 * @see Hoffman, "Superseeding", BitTorrent BEP 16, 2008, for the aim; here whoever asks still chooses
 */
export class GivenBlocks {
  /** By digest in hexadecimal, in the order in which they were promised. */
  readonly #given = new BoundedMap<string, Given>(MAX_GIVEN);

  /** Promises a block to a peer; false when another peer got it just now, or is about to: ask that one, or later. */
  promise(key: string, peer: string, nowMs: number): boolean {
    const given = this.#given.get(key);
    if (given !== undefined && given.peer !== peer && !isOver(given, nowMs)) return false;
    this.#given.set(key, { peer, promisedAtMs: nowMs, sentAtMs: undefined });
    return true;
  }

  /** The block is on its way to the peer, whole. */
  sent(key: string, peer: string, nowMs: number): void {
    const given = this.#given.get(key);
    if (given?.peer === peer) given.sentAtMs = nowMs;
  }

  /** The peer does not get the block after all. */
  forget(key: string, peer: string): void {
    if (this.#given.get(key)?.peer === peer) this.#given.delete(key);
  }
}

function isOver({ promisedAtMs, sentAtMs }: Given, nowMs: number): boolean {
  if (nowMs - promisedAtMs >= PROMISE_MS) return true;
  return sentAtMs !== undefined && nowMs - sentAtMs >= SPREAD_MS;
}
