export interface WindowedMinInit {
  /** Samples that are looked back on. */
  readonly samples: number;
  /** Milliseconds after which a sample says nothing any more. */
  readonly maxAgeMs: number;
}

/**
 * The least of the latest samples: of a round trip, what the path itself takes, without the noise of queues and busy
 * machines, which only ever adds.
 *
 * @see Cardwell et al., "BBR: Congestion-Based Congestion Control", ACM Queue 14(5), 2016, on RTprop
 */
export class WindowedMin {
  readonly #init: WindowedMinInit;
  /** Oldest first. */
  readonly #samples: { readonly value: number; readonly atMs: number }[] = [];

  constructor(init: WindowedMinInit) {
    this.#init = init;
  }

  add(value: number, nowMs: number): void {
    this.#samples.push({ value, atMs: nowMs });
    if (this.#samples.length > this.#init.samples) this.#samples.shift();
  }

  /** Null when no sample is recent enough. */
  value(nowMs: number): number | null {
    let least: number | null = null;
    for (const { value, atMs } of this.#samples) {
      if (nowMs - atMs > this.#init.maxAgeMs) continue;
      if (least === null || value < least) least = value;
    }
    return least;
  }
}
