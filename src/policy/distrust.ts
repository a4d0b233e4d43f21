import type { OutputDifference } from './output-comparison.ts';
import { isNearTie } from './verification.ts';

/** Milliseconds for which a node in doubt is not asked: what made it differ may be over, such as a GPU that was too hot. */
export const DOUBT_MS = 3_600_000;

/** Near ties of one node, on different inputs, that are no ties any more. */
const MAX_NEAR_TIES = 3;

/** Owners that must agree against a node before anything is held against it. */
const MIN_WITNESSES = 2;

/** Every {@link Charge}. */
export const CHARGES = ['lie', 'near tie', 'other provider'] as const;

/** What an answer that most owners disagree with says of its node. */
export type Charge =
  /** Nothing but a lie, or hardware that computes wrongly, explains it: the node is never asked again. */
  | 'lie'
  /** A near tie may explain it: the node is not asked for {@link DOUBT_MS}. */
  | 'near tie'
  /** Another execution provider may explain it: as above. */
  | 'other provider';

/** The answer that differs, and those it differs from. */
export interface Dissent {
  readonly difference: OutputDifference;
  /** Execution provider it says it ran on. */
  readonly provider: string;
  /** Those of the owners that agree with each other. */
  readonly witnesses: readonly string[];
}

/**
 * What is held against a node whose answer most owners disagree with; undefined while too few of them do.
 *
 * Only witnesses on the same kind of execution provider prove a lie: a publisher's tolerance may be too small for another kind.
 * One that claims a provider which nobody shares escapes proof, and is avoided all the same.
 */
export function chargeOf({ difference, provider, witnesses }: Dissent): Charge | undefined {
  if (witnesses.length < MIN_WITNESSES) return undefined;
  if (!witnesses.includes(provider)) return 'other provider';
  return isNearTie(difference) ? 'near tie' : 'lie';
}

/** A charge that stands in a client's memory. */
export interface StandingCharge {
  readonly charge: Charge;
  /** Of the request's tensors: the same request again is no further evidence. */
  readonly inputDigest: string;
  /** Milliseconds since 1970 on this client's clock. */
  readonly atMs: number;
}

/** Whether a node with these charges is asked: never again, not before a time, or `0` when it is. */
export function avoidedUntilMs(charges: readonly StandingCharge[]): number {
  if (charges.some(({ charge }) => charge === 'lie')) return Number.POSITIVE_INFINITY;
  const ties = charges.filter(({ charge }) => charge === 'near tie');
  if (new Set(ties.map(({ inputDigest }) => inputDigest)).size >= MAX_NEAR_TIES) {
    return Number.POSITIVE_INFINITY;
  }
  return charges.reduce((latest, { atMs }) => Math.max(latest, atMs + DOUBT_MS), 0);
}
