import { doubledMs } from './doubling.ts';

/** Milliseconds of a first quarantine: long enough that what breaks at once is no burden, short enough for what was passing. */
export const QUARANTINE_MS = 10 * 60_000;

/** Milliseconds of the longest. */
export const MAX_QUARANTINE_MS = 24 * 3_600_000;

/** Milliseconds for which a version is not tried again that was quarantined `times` times before; doubles with each. */
export function quarantineMs(times: number): number {
  return doubledMs(times, QUARANTINE_MS, MAX_QUARANTINE_MS);
}

/**
 * Deaths under an input, with no answer ever, with which a version counts as broken: no input works. Fewer would let one
 * caller who knows deadly inputs take a version that has just been loaded away from all others.
 */
export const MAX_UNPROVEN_DEATHS = 8;

/**
 * Counts the deaths of a model's process that speak against the model: those without any input, and those under inputs while
 * it has never answered one. Under an input of a model that has answered others, the input is to blame.
 */
export class VersionFaults {
  /** Whether it has ever answered. */
  #proven = false;
  /** Deaths without an input since the last answer. */
  #idleDeaths = 0;
  /** Deaths under an input, before the first answer. */
  #unprovenDeaths = 0;

  /** The process answered, be it with an error. */
  answered(): void {
    this.#proven = true;
    this.#idleDeaths = 0;
  }

  /** @param running whether an input was being run; a load that failed is a death without */
  died(running: boolean): void {
    if (!running) this.#idleDeaths += 1;
    else if (!this.#proven) this.#unprovenDeaths += 1;
  }

  /** Whether the model is to be given up. */
  reached(maxIdleDeaths: number): boolean {
    return this.#idleDeaths >= maxIdleDeaths || this.#unprovenDeaths >= MAX_UNPROVEN_DEATHS;
  }
}
