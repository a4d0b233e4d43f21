/** Weight of what was known when a run is added: some 32 runs are remembered. */
const DECAY = 31 / 32;

/** Relative spread of sizes below which they count as one size, and nothing can be said of others. */
const MIN_SPREAD = 0.01;

/**
 * How long runs of one model take by their size: a fixed part and a part for each element, fitted to the last runs by least
 * squares. Pure.
 */
export class ServiceTime {
  #weight = 0;
  #elements = 0;
  #ms = 0;
  #elementsSquared = 0;
  #elementsMs = 0;

  /** Takes in a run of that many elements, over all its inputs. */
  record(elements: number, elapsedMs: number): void {
    this.#weight = this.#weight * DECAY + 1;
    this.#elements = this.#elements * DECAY + elements;
    this.#ms = this.#ms * DECAY + elapsedMs;
    this.#elementsSquared = this.#elementsSquared * DECAY + elements * elements;
    this.#elementsMs = this.#elementsMs * DECAY + elements * elapsedMs;
  }

  /** Milliseconds that so many runs take that have so many elements together; null before the first was measured. */
  estimateMs(elements: number, runs = 1): number | null {
    if (this.#weight === 0) return null;
    const { fixedMs, elementMs } = this.#fit();
    return fixedMs * runs + elementMs * elements;
  }

  #fit(): { fixedMs: number; elementMs: number } {
    const meanElements = this.#elements / this.#weight;
    const meanMs = this.#ms / this.#weight;
    const variance = this.#elementsSquared / this.#weight - meanElements ** 2;
    const covariance = this.#elementsMs / this.#weight - meanElements * meanMs;
    if (variance <= (MIN_SPREAD * meanElements) ** 2) {
      // One size alone: nothing tells the two parts apart, and twice the size taken for twice the time errs on the safe side.
      return meanElements > 0
        ? { fixedMs: 0, elementMs: meanMs / meanElements }
        : { fixedMs: meanMs, elementMs: 0 };
    }
    const elementMs = Math.max(0, covariance / variance);
    const fixedMs = meanMs - elementMs * meanElements;
    if (fixedMs >= 0) return { fixedMs, elementMs };
    return { fixedMs: 0, elementMs: meanMs / meanElements };
  }
}
