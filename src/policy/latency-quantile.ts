/** Latencies that are looked back on. */
const WINDOW = 128;

/** Latencies below which there is no quantile worth acting on. */
const MIN_SAMPLES = 32;

/** Further latencies after which it is computed anew. */
const REFRESH = 8;

/** A quantile of the latest latencies, exactly, by sorting the window once in a while. */
export class LatencyQuantile {
  readonly #quantile: number;
  /** In the order they came, the oldest overwritten. Sorted without a comparator, which is called a thousand times. */
  readonly #samples = new Float64Array(WINDOW);
  #added = 0;
  #value: number | null = null;

  /** @param quantile from 0 to 1, such as 0.95 */
  constructor(quantile: number) {
    this.#quantile = quantile;
  }

  add(ms: number): void {
    this.#samples[this.#added % WINDOW] = ms;
    this.#added += 1;
    if (this.#added < MIN_SAMPLES || (this.#value !== null && this.#added % REFRESH !== 0)) return;
    const sorted = this.#samples.slice(0, this.#added).sort();
    this.#value = sorted[Math.ceil(this.#quantile * sorted.length) - 1] ?? null;
  }

  /** Milliseconds; null while too few are known. */
  get value(): number | null {
    return this.#value;
  }
}
