/**
 * A rate, kept in one of two ways. By debt: whoever finds the balance above zero takes all it needs at once, and the next waits
 * until that is paid off, so a piece of any size passes at any rate, and the long-term rate is exact. Or whole: who finds less
 * than it needs takes nothing. Pure: time is an argument.
 *
 * @see Turner, "New directions in communications", IEEE Communications Magazine 24(10), 1986, the leaky bucket
 */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #burst: number;
  #balance: number;
  #atMs: number | undefined;

  /**
   * @param perSecond what flows in; 0 where only {@link add} fills it.
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
    return this.#balance > 0 ? 0 : this.#untilMs(1);
  }

  /** Milliseconds until what was taken into debt is paid off; 0 when nothing is owed. */
  debtMs(nowMs: number): number {
    this.#flow(nowMs);
    return this.#balance >= 0 ? 0 : this.#untilMs(0);
  }

  /** Takes an amount, also into debt. */
  take(amount: number, nowMs: number): void {
    this.#flow(nowMs);
    this.#balance -= amount;
  }

  /** Takes an amount only where all of it is there. */
  takeWhole(amount: number, nowMs: number): boolean {
    this.#flow(nowMs);
    if (this.#balance < amount) return false;
    this.#balance -= amount;
    return true;
  }

  /** Milliseconds until all of an amount is there by time alone; infinite where nothing flows in. */
  wholeInMs(amount: number, nowMs: number): number {
    this.#flow(nowMs);
    return this.#balance >= amount ? 0 : this.#untilMs(amount);
  }

  /** Adds an amount beside what flows in, such as what was taken and not used. */
  add(amount: number): void {
    this.#balance = Math.min(this.#burst, this.#balance + amount);
  }

  #untilMs(balance: number): number {
    return Math.ceil(((balance - this.#balance) / this.#perSecond) * 1000);
  }

  #flow(nowMs: number): void {
    // A clock that went back gives nothing and takes nothing.
    const passedMs = Math.max(0, nowMs - (this.#atMs ?? nowMs));
    this.#atMs = nowMs;
    this.#balance = Math.min(this.#burst, this.#balance + (passedMs / 1000) * this.#perSecond);
  }
}
