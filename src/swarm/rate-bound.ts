export interface RateBoundInit {
  readonly perSecond: number;
  /** How many may come at once after a pause. */
  readonly burst: number;
}

/** A token bucket: lets through `perSecond` on average, `burst` at once. */
export class RateBound {
  readonly #init: RateBoundInit;
  #tokens: number;
  #atMs: number | undefined;

  constructor(init: RateBoundInit) {
    this.#init = init;
    this.#tokens = init.burst;
  }

  /** True when one more may pass now; `nowMs` never goes back. */
  take(nowMs: number): boolean {
    const elapsedMs = nowMs - (this.#atMs ?? nowMs);
    this.#atMs = nowMs;
    const { perSecond, burst } = this.#init;
    this.#tokens = Math.min(burst, this.#tokens + (elapsedMs * perSecond) / 1000);
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
