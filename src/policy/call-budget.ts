import { TokenBucket } from '../../protocols/token-bucket.ts';

export interface CallBudgetInit {
  /** What each call adds, such as 0.1 for one in ten. */
  readonly perCall: number;
  /** What each second adds, for callers that call rarely. @default 0 */
  readonly perSecond?: number | undefined;
  /** What is saved at most while nothing is taken; also what is there at first. */
  readonly burst: number;
}

/**
 * A fifth more requests than there are calls, and ten a second for those who call rarely, saved for ten seconds: a retry storm
 * is what turns one dead node into a dead swarm.
 *
 * @see Finagle's RetryBudget, whose defaults these are
 */
export const RETRY_BUDGET: CallBudgetInit = { perCall: 0.2, perSecond: 10, burst: 100 };

/**
 * One in twenty: what hedging saves it saves with the first few, and an empty bucket is the sign that all are slow, not one.
 *
 * @see Dean and Barroso, "The Tail at Scale", CACM 56(2), 2013
 */
export const HEDGE_BUDGET: CallBudgetInit = { perCall: 0.05, burst: 10 };

/** Extra requests that may be sent beside the calls themselves. Pure: time is an argument. */
export class CallBudget {
  readonly #perCall: number;
  readonly #bucket: TokenBucket;

  constructor({ perCall, perSecond = 0, burst }: CallBudgetInit) {
    this.#perCall = perCall;
    this.#bucket = new TokenBucket(perSecond, burst);
  }

  /** A call began. */
  called(): void {
    this.#bucket.add(this.#perCall);
  }

  /** Takes one when there is one. */
  take(nowMs: number): boolean {
    return this.#bucket.takeWhole(1, nowMs);
  }

  /** Milliseconds until there is one by time alone; 0 when there is one now. */
  waitMs(nowMs: number): number {
    return this.#bucket.wholeInMs(1, nowMs);
  }
}
