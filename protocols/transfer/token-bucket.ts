/**
 * A rate kept by debt: whoever finds the balance above zero takes all it needs at once, and the next waits until that is
 * paid off. So a piece of any size passes at any rate, and the long-term rate is exact. Pure: time is an argument.
 *
 * @see Turner, "New directions in communications", IEEE Communications Magazine 24(10), 1986, the leaky bucket
 */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #burst: number;
  #balance: number;
  #atMs: number | undefined;

  /**
   * @param perSecond what flows in, above 0.
   * @param burst what is saved at most while nobody takes; also what is there at first.
   */
  constructor(perSecond: number, burst: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#balance = burst;
  }

  /** Milliseconds until something may be taken; 0 when it may be now. */
  waitMs(nowMs: number): number {
    this.#flow(nowMs);
    return this.#balance > 0 ? 0 : Math.ceil(((1 - this.#balance) / this.#perSecond) * 1000);
  }

  /** Takes an amount, also into debt. */
  take(amount: number, nowMs: number): void {
    this.#flow(nowMs);
    this.#balance -= amount;
  }

  /** Gives back what was taken and not used. */
  refund(amount: number): void {
    this.#balance = Math.min(this.#burst, this.#balance + amount);
  }

  #flow(nowMs: number): void {
    // A clock that went back gives nothing and takes nothing.
    const passedMs = Math.max(0, nowMs - (this.#atMs ?? nowMs));
    this.#atMs = nowMs;
    this.#balance = Math.min(this.#burst, this.#balance + (passedMs / 1000) * this.#perSecond);
  }
}
