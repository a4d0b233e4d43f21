import { BoundedMap } from '../../protocols/bounded-map.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { LatencyQuantile } from './latency-quantile.ts';
import { bestKnown, type Candidate, estimateCompletion } from './routing.ts';

/** Share of the requests of a form that are answered before a second node is asked. */
const HEDGE_QUANTILE = 0.95;

/** Forms of request, each a version and a size, whose latencies are remembered. */
const MAX_FORMS = 256;

/** A node is given so many times what was expected of it: one that is known to be slow is not late yet. */
const EXPECTED_FACTOR = 1.5;

/** Milliseconds below which a second request is as slow as the first. */
const MIN_HEDGE_MS = 2;

/**
 * When a request has taken so long that a second node is asked: past the 95th percentile of its form's latencies.
 *
 * @see Dean and Barroso, "The Tail at Scale", CACM 56(2), 2013, hedged requests
 */
export class HedgeTimes {
  readonly #forms = new BoundedMap<string, LatencyQuantile>(MAX_FORMS);
  /** The form used last. */
  #last = '';

  /** An answer to a request of so many bytes came after so many milliseconds. */
  answered(version: VersionCid, bodyBytes: number, latencyMs: number): void {
    const form = formOf(version, bodyBytes);
    const known = this.#forms.get(form) ?? new LatencyQuantile(HEDGE_QUANTILE);
    known.add(latencyMs);
    // Also for what was known already: the form used last is forgotten last.
    if (form !== this.#last) this.#forms.set(form, known);
    this.#last = form;
  }

  /** Milliseconds after which to ask a second node, when the first was expected to take so long; null when nothing is known yet. */
  afterMs(version: VersionCid, bodyBytes: number, expectedMs: number): number | null {
    const usualMs = this.#forms.get(formOf(version, bodyBytes))?.value ?? null;
    if (usualMs === null) return null;
    return Math.max(MIN_HEDGE_MS, usualMs, EXPECTED_FACTOR * expectedMs);
  }
}

/**
 * Whether a second request pays on that node: not when it would wait there for more than an execution. Then all are busy, and
 * what is sent twice only makes all later.
 */
export function isWorthHedging(second: Candidate, bodyBytes: number): boolean {
  const { queueMs, serviceMs } = estimateCompletion(second, bodyBytes, bestKnown([second]));
  return queueMs <= serviceMs;
}

/** Sizes within a factor of two are one form. */
function formOf(version: VersionCid, bodyBytes: number): string {
  return `${Math.ceil(Math.log2(Math.max(1, bodyBytes)))} ${version}`;
}
