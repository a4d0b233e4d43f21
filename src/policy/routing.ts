import type { LoadReport, NodeId } from '../../protocols/types.ts';

/** What a client knows of a node that is READY for the version it wants. */
export interface Candidate {
  readonly node: NodeId;
  /** The freshest load report: from an answer, else from an announcement. */
  readonly load: LoadReport;
  /** Requests this client sent there since that report and that are still open. */
  readonly sentSinceReport: number;
  /** Least recent round trip without queue and execution, in milliseconds; null when none was measured lately. */
  readonly roundTripMs: number | null;
  /** Smoothed bytes per millisecond of past large bodies; null when none was sent. */
  readonly bytesPerMs: number | null;
  /** Milliseconds on the caller's clock until which the node is avoided after a failure; 0 when it is not. */
  readonly coolingUntilMs: number;
}

/** The request that looks for a node. */
export interface RoutingRequest {
  readonly bodyBytes: number;
  /** Nodes that already failed or refused this request. */
  readonly tried: ReadonlySet<NodeId>;
}

/** Milliseconds assumed for a round trip when that of no candidate was measured lately. */
export const ASSUMED_ROUND_TRIP_MS = 50;

/** Bytes per millisecond assumed for a path never measured: 100 Mbit/s. */
export const ASSUMED_BYTES_PER_MS = 12_500;

/** Milliseconds of one execution assumed when no candidate has measured any. */
export const ASSUMED_SERVICE_MS = 20;

/** Milliseconds, and the share of the least, within which two estimates are equal: measurements are no better. */
export const TIE_MS = 1;
export const TIE_SHARE = 0.1;

/** What stands in for a measurement that a candidate lacks. */
export interface Fallback {
  readonly serviceMs: number;
  readonly roundTripMs: number;
}

/** Estimated milliseconds until the answer: round trip + transfer + (waiting ÷ slots + 1) × service time. */
export function estimateCompletionMs(
  candidate: Candidate,
  bodyBytes: number,
  fallback: Fallback,
): number {
  const { load } = candidate;
  const serviceMs = load.serviceMs ?? fallback.serviceMs;
  const waiting = load.queued + load.inFlight + candidate.sentSinceReport;
  // Not whole turns: a node that could take all of them at once is still later than one that has none.
  const turns = waiting / Math.max(1, load.slots);
  const transferMs = bodyBytes / (candidate.bytesPerMs ?? ASSUMED_BYTES_PER_MS);
  return (candidate.roundTripMs ?? fallback.roundTripMs) + transferMs + (turns + 1) * serviceMs;
}

/**
 * Picks a node with the least estimated completion time among those not tried and not cooling; ties fall at random, and
 * estimates that differ by less than they are worth are ties: the nearest of equals must not get everything.
 *
 * When all are cooling, the one whose cooling ends first is tried: a single candidate must not be lost to one failure.
 * Undefined when every candidate was tried.
 */
export function selectNode<C extends Candidate>(
  candidates: readonly C[],
  request: RoutingRequest,
  nowMs: number,
  random: () => number,
): C | undefined {
  const untried = candidates.filter((candidate) => !request.tried.has(candidate.node));
  const warm = untried.filter((candidate) => candidate.coolingUntilMs <= nowMs);
  if (warm.length === 0) return leastBad(untried);
  const fallback = bestKnown(warm);
  const scores = warm.map((candidate) =>
    estimateCompletionMs(candidate, request.bodyBytes, fallback),
  );
  const best = Math.min(...scores);
  const bound = best + Math.max(TIE_MS, TIE_SHARE * best);
  const tied = warm.filter((_, index) => (scores[index] ?? Number.POSITIVE_INFINITY) <= bound);
  return tied[Math.floor(random() * tied.length)];
}

/** How long a node is avoided after its n-th failure in a row: 15 s, doubling to 5 min. */
export function coolingMs(failuresInARow: number): number {
  return Math.min(15_000 * 2 ** Math.max(0, failuresInARow - 1), 300_000);
}

/**
 * Optimism about the unmeasured: as fast and as near as the best known, so that a new node gets its first request, and one
 * that measured badly once is asked again when that is old.
 */
function bestKnown(candidates: readonly Candidate[]): Fallback {
  let serviceMs = Number.POSITIVE_INFINITY;
  let roundTripMs = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    serviceMs = Math.min(serviceMs, candidate.load.serviceMs ?? Number.POSITIVE_INFINITY);
    roundTripMs = Math.min(roundTripMs, candidate.roundTripMs ?? Number.POSITIVE_INFINITY);
  }
  return {
    serviceMs: Number.isFinite(serviceMs) ? serviceMs : ASSUMED_SERVICE_MS,
    roundTripMs: Number.isFinite(roundTripMs) ? roundTripMs : ASSUMED_ROUND_TRIP_MS,
  };
}

function leastBad<C extends Candidate>(candidates: readonly C[]): C | undefined {
  let best: C | undefined;
  for (const candidate of candidates) {
    if (best === undefined || candidate.coolingUntilMs < best.coolingUntilMs) best = candidate;
  }
  return best;
}
