/** Weight of what was known when a run is added: some 32 runs are remembered. */
const DECAY = 31 / 32;

/** Relative spread of sizes below which they count as one size, and nothing can be said of others. */
const MIN_SPREAD = 0.01;

/** A run counts as so many times what was expected of it at most: one disturbance must not speak for the next thirty runs. */
const MAX_SURPRISE = 4;

/** Runs that each prior timing counts as. */
const PRIOR_WEIGHT = 4;

/** A run that was measured. */
export interface RunTiming {
  /** Elements over all its inputs. */
  readonly elements: number;
  readonly ms: number;
}

/**
 * How long runs of one model take by their size: a fixed part and a part for each element, fitted to the last runs by least
 * squares. Pure.
 */
export class ServiceTime {
  readonly #prior: readonly RunTiming[];
  #weight = 0;
  #elements = 0;
  #ms = 0;
  #elementsSquared = 0;
  #elementsMs = 0;

  /** @param prior what is known before the first run, and after {@link reset} */
  constructor(prior: readonly RunTiming[] = []) {
    this.#prior = prior;
    this.reset();
  }

  /** Forgets all runs: what they took may say nothing of the next. */
  reset(): void {
    this.#weight = 0;
    this.#elements = 0;
    this.#ms = 0;
    this.#elementsSquared = 0;
    this.#elementsMs = 0;
    for (const { elements, ms } of this.#prior) this.#add(elements, ms, PRIOR_WEIGHT);
  }

  /** Takes in a run of that many elements, over all its inputs. */
  record(elements: number, elapsedMs: number): void {
    const expectedMs = this.estimateMs(elements) ?? elapsedMs;
    const ms = expectedMs > 0 ? Math.min(elapsedMs, MAX_SURPRISE * expectedMs) : elapsedMs;
    this.#weight *= DECAY;
    this.#elements *= DECAY;
    this.#ms *= DECAY;
    this.#elementsSquared *= DECAY;
    this.#elementsMs *= DECAY;
    this.#add(elements, ms, 1);
  }

  /** Milliseconds that so many runs take that have so many elements together; null before the first was measured. */
  estimateMs(elements: number, runs = 1): number | null {
    if (this.#weight === 0) return null;
    const { fixedMs, elementMs } = this.#fit();
    return fixedMs * runs + elementMs * elements;
  }

  #add(elements: number, ms: number, weight: number): void {
    this.#weight += weight;
    this.#elements += weight * elements;
    this.#ms += weight * ms;
    this.#elementsSquared += weight * elements * elements;
    this.#elementsMs += weight * elements * ms;
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
