import type { DemandRates, VersionDemand } from '../../../protocols/demand/index.ts';
import type { ScalingSettings } from './scaling-settings.ts';

/** Slices of a panic window: what is told is at most a sixth of it late. */
const PANIC_SLICES = 6;

/** What is counted of each slice. */
const ARRIVALS = 0;
const REFUSALS = 1;
const COLD_MISSES = 2;
const IN_FLIGHT_MS = 3;
const WAITED_MS = 4;
const SERVED_MS = 5;
const SERVED = 6;
const FIELDS = 7;

export type DemandMeterInit = Pick<ScalingSettings, 'stableWindowMs' | 'panicWindowMs'>;

/**
 * How much one version is asked for at one peer, over two sliding windows. Times never go back.
 *
 * Rates are over the whole window even while the meter is younger: what moved here from another peer is still in that one's
 * window, and the sum over all peers is right at every moment.
 */
export class DemandMeter {
  readonly #sliceMs: number;
  /** Slices of the stable window, and one that is being filled. */
  readonly #slices: number;
  /** A ring: slice `n` since time 0 lies at `n % (slices + 1)`. */
  readonly #counts: Float64Array;
  #slice = Number.NEGATIVE_INFINITY;
  #inFlight = 0;
  #inFlightAtMs = 0;
  #serviceTimeMs: number | null = null;

  constructor({ stableWindowMs, panicWindowMs }: DemandMeterInit) {
    this.#sliceMs = panicWindowMs / PANIC_SLICES;
    this.#slices = Math.ceil(stableWindowMs / this.#sliceMs);
    this.#counts = new Float64Array((this.#slices + 1) * FIELDS);
  }

  /** A request was taken in; {@link left} is called for it once. */
  arrived(nowMs: number): void {
    this.#add(nowMs, ARRIVALS, 1);
    this.#settleInFlight(nowMs);
    this.#inFlight += 1;
  }

  /** A request that arrived is over, whatever became of it. */
  left(nowMs: number): void {
    this.#settleInFlight(nowMs);
    this.#inFlight -= 1;
  }

  /** A request was refused for want of room. */
  refused(nowMs: number): void {
    this.#add(nowMs, REFUSALS, 1);
  }

  /** A request was asked for where no replica was ready. */
  missed(nowMs: number): void {
    this.#add(nowMs, COLD_MISSES, 1);
  }

  /** A request was answered: how long it waited, and its share of the time of its run. */
  served(waitedMs: number, serviceMs: number, nowMs: number): void {
    this.#add(nowMs, WAITED_MS, waitedMs);
    this.#add(nowMs, SERVED_MS, serviceMs);
    this.#add(nowMs, SERVED, 1);
  }

  read(nowMs: number): Omit<VersionDemand, 'cid'> {
    this.#settleInFlight(nowMs);
    const panic = this.#sums(nowMs, PANIC_SLICES);
    const stable = this.#sums(nowMs, this.#slices);
    const served = panic[SERVED] ?? 0;
    const servedLong = stable[SERVED] ?? 0;
    if (servedLong > 0) this.#serviceTimeMs = (stable[SERVED_MS] ?? 0) / servedLong;
    return {
      stable: ratesOf(stable, this.#slices * this.#sliceMs),
      panic: ratesOf(panic, PANIC_SLICES * this.#sliceMs),
      inFlight: (panic[IN_FLIGHT_MS] ?? 0) / (PANIC_SLICES * this.#sliceMs),
      queueWaitMs: served === 0 ? 0 : (panic[WAITED_MS] ?? 0) / served,
      serviceTimeMs: this.#serviceTimeMs,
    };
  }

  /** Time in flight is booked to the slice in which it is noticed: reads and requests come far more often than slices. */
  #settleInFlight(nowMs: number): void {
    const sinceMs = Math.max(0, nowMs - this.#inFlightAtMs);
    const windowMs = PANIC_SLICES * this.#sliceMs;
    if (this.#inFlight > 0) {
      this.#add(nowMs, IN_FLIGHT_MS, this.#inFlight * Math.min(sinceMs, windowMs));
    }
    this.#inFlightAtMs = nowMs;
  }

  #add(nowMs: number, field: number, amount: number): void {
    this.#advance(nowMs);
    const at = (this.#slice % (this.#slices + 1)) * FIELDS + field;
    this.#counts[at] = (this.#counts[at] ?? 0) + amount;
  }

  /** Empties the slices that time has gone past. */
  #advance(nowMs: number): void {
    const slice = Math.floor(nowMs / this.#sliceMs);
    if (slice <= this.#slice) return;
    const ring = this.#slices + 1;
    const first = Math.max(this.#slice + 1, slice - this.#slices);
    for (let passed = first; passed <= slice; passed += 1) {
      const from = (passed % ring) * FIELDS;
      this.#counts.fill(0, from, from + FIELDS);
    }
    this.#slice = slice;
  }

  /** Sums over the last slices; of the oldest only the share that is still inside. */
  #sums(nowMs: number, slices: number): Float64Array {
    this.#advance(nowMs);
    const ring = this.#slices + 1;
    const filled = nowMs / this.#sliceMs - this.#slice;
    const sums = new Float64Array(FIELDS);
    for (let back = 0; back <= slices; back += 1) {
      const slice = this.#slice - back;
      if (slice < 0) break;
      const share = back === slices ? 1 - filled : 1;
      const from = (slice % ring) * FIELDS;
      for (let field = 0; field < FIELDS; field += 1) {
        sums[field] = (sums[field] ?? 0) + share * (this.#counts[from + field] ?? 0);
      }
    }
    return sums;
  }
}

function ratesOf(sums: Float64Array, windowMs: number): DemandRates {
  const perS = (field: number): number => (1_000 * (sums[field] ?? 0)) / windowMs;
  return {
    arrivalsPerS: perS(ARRIVALS),
    refusalsPerS: perS(REFUSALS),
    coldMissesPerS: perS(COLD_MISSES),
  };
}
