import { isSwarmError } from '../../protocols/errors.ts';

/** Peers remembered at most; whose time ends first goes first. */
const MAX_DISTRUSTED = 1_024;

/** Milliseconds that a peer is not asked which sent bytes with another hash, or broke the protocol: nothing else explains it. */
const LIAR_MS = 3_600_000;

/** Milliseconds that a peer is not asked which was too slow to be of use: links get better. */
const SLOW_MS = 600_000;

interface Distrust {
  readonly untilMs: number;
  readonly reason: string;
}

/** Peers that past fetches were better off without, for a while. Times are arguments. */
export class DistrustedPeers {
  readonly #peers = new Map<string, Distrust>();

  /** Why a peer is not asked now; undefined when it may be. */
  reason(peer: string, nowMs: number): string | undefined {
    const distrust = this.#peers.get(peer);
    if (distrust === undefined) return undefined;
    if (distrust.untilMs > nowMs) return distrust.reason;
    this.#peers.delete(peer);
    return undefined;
  }

  /** Takes note of a failure that says something of the peer, as the errors of a transfer connection do; false when it does not. */
  note(peer: string, error: unknown, nowMs: number): boolean {
    const forMs = distrustMs(error);
    if (forMs === undefined) return false;
    const reason = error instanceof Error ? error.message : String(error);
    this.#peers.set(peer, { untilMs: nowMs + forMs, reason });
    if (this.#peers.size <= MAX_DISTRUSTED) return true;
    const [first] = [...this.#peers].toSorted(([, a], [, b]) => a.untilMs - b.untilMs);
    if (first !== undefined) this.#peers.delete(first[0]);
    return true;
  }
}

function distrustMs(error: unknown): number | undefined {
  // A peer that says of itself that its disk is damaged, or that it is too late, has told the truth.
  if (!isSwarmError(error) || error.details['remote'] === true) return undefined;
  switch (error.code) {
    case 'ERR_CORRUPT':
    case 'ERR_INVALID_MESSAGE':
      return LIAR_MS;
    case 'ERR_DEADLINE':
      return SLOW_MS;
    default:
      return undefined;
  }
}
