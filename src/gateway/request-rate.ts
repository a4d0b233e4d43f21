/**
 * A rate of single requests: so many a second, and as many at once after a pause. Pure: time is an argument.
 *
 * @see ITU-T I.371 (2004), annex A: the generic cell rate algorithm, as virtual scheduling
 */
export class RequestRate {
  readonly #intervalMs: number;
  /** Milliseconds by which a request may come before its time. */
  readonly #toleranceMs: number;
  /** When the next request would come if all came evenly. */
  #dueMs = Number.NEGATIVE_INFINITY;

  constructor(perSecond: number) {
    this.#intervalMs = 1000 / perSecond;
    this.#toleranceMs = (Math.max(1, Math.floor(perSecond)) - 1) * this.#intervalMs;
  }

  /** 0 when a request may be made now, which it then was; else the milliseconds until one may. */
  admit(nowMs: number): number {
    const waitMs = this.#dueMs - this.#toleranceMs - nowMs;
    if (waitMs > 0) return waitMs;
    this.#dueMs = Math.max(this.#dueMs, nowMs) + this.#intervalMs;
    return 0;
  }
}
