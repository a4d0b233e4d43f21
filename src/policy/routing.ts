import type { LoadReport, NodeId, OwnerId } from '../../protocols/types.ts';
import { doubledMs } from './doubling.ts';

/** What a client knows of a node that is READY for the version it wants. */
export interface Candidate {
  readonly node: NodeId;
  readonly owner: OwnerId;
  /** Where the node is, in its owner's words; '' when not told. */
  readonly zone: string;
  /** The freshest load report: from an answer or a pong, else from an announcement. */
  readonly load: LoadReport;
  /** Milliseconds since that report; 0 when it is of this moment. */
  readonly loadAgeMs: number;
  /** Requests ahead of the next one: those of others by the report, and this client's that are open. */
  readonly waiting: number;
  /** Milliseconds that this client saw requests of this size take inside the model there; null before it saw any. */
  readonly serviceMs: number | null;
  /** Least recent round trip without queue and execution, in milliseconds; null when none was measured lately. */
  readonly roundTripMs: number | null;
  /** Smoothed bytes per millisecond of past large bodies; null when none was sent. */
  readonly bytesPerMs: number | null;
  /** Milliseconds on the caller's clock until which the node is avoided after a failure; 0 when it is not. */
  readonly coolingUntilMs: number;
  /** Milliseconds on the same clock until which it is taken to refuse this caller, as it did lately; 0 when it did not. */
  readonly forbiddenUntilMs: number;
  /** Milliseconds that its latest failures add to what it is expected to take; 0 when they are long past. */
  readonly penaltyMs: number;
  /** How far a newcomer is on its way to a full share of the requests, above 0; 1 when it is none. */
  readonly startShare: number;
  /** True when it is one of the few that were drawn for this client, by their speed, out of very many. */
  readonly pooled: boolean;
  /** True while the node owes a sign of life for longer than its path takes. */
  readonly suspect: boolean;
  /** Bytes of tensors that it was seen to refuse as too many; infinite when it refused none. */
  readonly refusedBytes: number;
  /** How many lists of the caller's preference it meets. */
  readonly wishesMet: number;
  /** Milliseconds on the caller's clock when this client last sent it a request; 0 when it sent none. */
  readonly lastSentAtMs: number;
}

/** Nodes, and all nodes of owners, that must not be asked. */
export interface Avoided {
  readonly nodes: ReadonlySet<NodeId>;
  readonly owners: ReadonlySet<OwnerId>;
}

/** The request that looks for a node. */
export interface RoutingRequest {
  readonly bodyBytes: number;
  /** Milliseconds until the caller gives up. */
  readonly remainingMs: number;
  /** Nodes that already failed or refused this request. */
  readonly tried: ReadonlySet<NodeId>;
  /** Owners of those that failed: others are asked first. */
  readonly failedOwners: ReadonlySet<OwnerId>;
  /** Nodes that must not be asked, whatever else. */
  readonly avoid: Avoided;
  /**
   * True once a node has counted it as demand. Until then it is sent to the best even if that one will refuse it, so that the swarm
   * hears of it; after that, to none that is known to. @default false
   */
  readonly counted?: boolean | undefined;
  /** What requests have in common that should meet on one node; undefined when nothing. */
  readonly affinity: string | undefined;
}

/** Time and chance, which a decision never takes by itself. */
export interface RoutingContext {
  /** On the clock of {@link Candidate.coolingUntilMs}. */
  readonly nowMs: number;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/**
 * Picks the node that is asked next, among candidates that were not tried, are not avoided and take the request's size: those
 * that cool or are silent stand among them only when there are no others. Pure: no clock, no randomness, no I/O of its own.
 *
 * Undefined for none: the call then waits for a better moment. @see docs/routing.md
 */
export type NodeSelector = (
  candidates: readonly Candidate[],
  request: RoutingRequest,
  context: RoutingContext,
) => NodeId | undefined;

export const NOBODY: Avoided = { nodes: new Set(), owners: new Set() };

/** Whoever is in one of them. */
export function bothAvoided(a: Avoided, b: Avoided): Avoided {
  if (a === NOBODY) return b;
  if (b === NOBODY) return a;
  return {
    nodes: new Set([...a.nodes, ...b.nodes]),
    owners: new Set([...a.owners, ...b.owners]),
  };
}

/** Milliseconds assumed for a round trip when that of no candidate was measured lately. */
export const ASSUMED_ROUND_TRIP_MS = 50;

/** Bytes per millisecond assumed for a path never measured: 100 Mbit/s. */
export const ASSUMED_BYTES_PER_MS = 12_500;

/** Milliseconds of one execution assumed when no candidate has measured any. */
export const ASSUMED_SERVICE_MS = 20;

/** What stands in for a measurement that a candidate lacks. */
export interface Fallback {
  readonly serviceMs: number;
  readonly roundTripMs: number;
}

/** What a request is expected to take on a node, by its parts. */
export interface Estimate {
  /** Round trip and transfer, in milliseconds. */
  readonly pathMs: number;
  /** What is ahead of it there, in milliseconds. */
  readonly queueMs: number;
  /** The execution itself, in milliseconds. */
  readonly serviceMs: number;
  /** All of them, and what its failures add. */
  readonly totalMs: number;
}

/** What runs is half done on average: a node that runs one request is free in half an execution, not in a whole one. */
export const RUNNING_REST = 0.5;

/** Executions that pass before a request's own turn on a node where so many requests are ahead of it; those that run count half. */
export function turnsAhead(waiting: number, slots: number): number {
  // Not whole turns: a node that could take all of them at once is still later than one that has none.
  const places = Math.max(1, slots);
  return (waiting - (1 - RUNNING_REST) * Math.min(waiting, places)) / places;
}

/** Estimates the time until the answer: round trip + transfer + turns ahead × service time + service time at this size. */
export function estimateCompletion(
  candidate: Candidate,
  bodyBytes: number,
  fallback: Fallback,
): Estimate {
  const { load } = candidate;
  const meanMs = load.serviceMs ?? candidate.serviceMs ?? fallback.serviceMs;
  const serviceMs = candidate.serviceMs ?? meanMs;
  const queueMs = turnsAhead(candidate.waiting, load.slots) * meanMs;
  const transferMs = bodyBytes / (candidate.bytesPerMs ?? ASSUMED_BYTES_PER_MS);
  const pathMs = (candidate.roundTripMs ?? fallback.roundTripMs) + transferMs;
  const totalMs = pathMs + queueMs + serviceMs + candidate.penaltyMs;
  return { pathMs, queueMs, serviceMs, totalMs };
}

/**
 * Optimism about the unmeasured: as fast and as near as the best known, so that a new node gets its first request, and one
 * that measured badly once is asked again when that is old.
 */
export function bestKnown(candidates: readonly Candidate[]): Fallback {
  let serviceMs = Number.POSITIVE_INFINITY;
  let roundTripMs = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const known = candidate.serviceMs ?? candidate.load.serviceMs;
    serviceMs = Math.min(serviceMs, known ?? Number.POSITIVE_INFINITY);
    roundTripMs = Math.min(roundTripMs, candidate.roundTripMs ?? Number.POSITIVE_INFINITY);
  }
  return {
    serviceMs: Number.isFinite(serviceMs) ? serviceMs : ASSUMED_SERVICE_MS,
    roundTripMs: Number.isFinite(roundTripMs) ? roundTripMs : ASSUMED_ROUND_TRIP_MS,
  };
}

/** How long a node is avoided after its n-th failure in a row: 15 s, doubling to 5 min. */
export function coolingMs(failuresInARow: number): number {
  return doubledMs(failuresInARow - 1, 15_000, 300_000);
}
