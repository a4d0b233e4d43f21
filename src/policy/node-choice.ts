import type { NodeId } from '../../protocols/types.ts';
import { ALL_PROBED, contenders, isNews } from './probe-plan.ts';
import {
  bestKnown,
  type Candidate,
  type Estimate,
  estimateCompletion,
  type Fallback,
  type RoutingContext,
  type RoutingRequest,
} from './routing.ts';
import { stableHash } from './stable-hash.ts';

/**
 * Quantile of the backlogs above which a node is hot: 2^-0.25, Prequal's choice between going by load alone and by latency alone.
 *
 * @see Wydrowski et al., "Load is not what you should balance: Introducing Prequal", NSDI 2024, the hot-cold lexicographic rule
 */
export const HOT_QUANTILE = 2 ** -0.25;

/** Milliseconds, and the share of the least, within which two estimates are equal: measurements are no better. */
export const TIE_MS = 1;
export const TIE_SHARE = 0.1;

/**
 * The share within which two nodes are equal that would begin at once: what each was measured to take alone drifts by more than
 * a tenth, and whoever measured worse once would idle for ever.
 */
export const IDLE_TIE_SHARE = 0.25;

/** The node of an affinity is kept while it is expected to take at most so many times what the best one does. */
export const AFFINITY_RATIO = 2;

/** Why a candidate was chosen or was not, in the order in which the reasons are looked for. */
export type Verdict =
  | 'chosen'
  | 'avoided'
  | 'tried'
  | 'too busy'
  | 'cooling'
  | 'silent'
  | 'forbidden'
  | 'too small'
  | 'not drawn'
  | 'not preferred'
  | 'same owner'
  | 'starting'
  | 'hot'
  | 'slower'
  | 'as good';

/** What was made of one candidate. */
export interface Judgement<C extends Candidate = Candidate> {
  readonly candidate: C;
  readonly estimate: Estimate;
  verdict: Verdict;
}

/**
 * Judges every candidate for a request; one at most is `chosen`.
 *
 * Whoever must not be asked is left out; then, while any are left, those that refused this caller, that cool or owe a sign of
 * life, those that refused a request of this size, of many those that were not drawn, those that meet less of the caller's preference, and those of owners
 * that failed already. Of the others the hot are left out, and the least estimated completion time wins, or the node of the
 * request's affinity while it keeps up. Equals take turns: the one that this client asked longest ago.
 *
 * When all are cooling, the one whose cooling ends first is chosen: a single candidate must not be lost to one failure.
 */
export function judgeCandidates<C extends Candidate>(
  candidates: readonly C[],
  request: RoutingRequest,
  context: RoutingContext,
): Judgement<C>[] {
  const { nowMs } = context;
  const open = selectable(candidates, request, nowMs);
  const fallback = bestKnown(open);
  const judged = candidates.map((candidate): Judgement<C> => {
    const verdict = barredBy(candidate, request) ?? ailment(candidate, nowMs) ?? 'slower';
    const estimate = estimateCompletion(candidate, request.bodyBytes, fallback);
    return { candidate, estimate, verdict };
  });
  const left =
    open.length === judged.length
      ? judged
      : judged.filter(({ candidate }) => open.includes(candidate));
  const chosen = choose(left, request, context);
  if (chosen !== undefined) chosen.verdict = 'chosen';
  return judged;
}

/** The candidate that {@link judgeCandidates} chooses; undefined when every one is barred. */
export function selectNode<C extends Candidate>(
  candidates: readonly C[],
  request: RoutingRequest,
  context: RoutingContext,
): C | undefined {
  return judgeCandidates(candidates, request, context).find(({ verdict }) => verdict === 'chosen')
    ?.candidate;
}

/** The policy as a {@link NodeSelector}. */
export function defaultSelector(
  candidates: readonly Candidate[],
  request: RoutingRequest,
  context: RoutingContext,
): NodeId | undefined {
  return selectNode(candidates, request, context)?.node;
}

/**
 * The candidates that a selector may choose from: none that is barred, none that is silent while others are not, none that
 * cools while others do not, and none that refused this caller while others did not.
 */
export function selectable<C extends Candidate>(
  candidates: readonly C[],
  request: RoutingRequest,
  nowMs: number,
): readonly C[] {
  const eligible = candidates.filter((candidate) => barredBy(candidate, request) === undefined);
  if (eligible.every((candidate) => ailment(candidate, nowMs) === undefined)) return eligible;
  for (const accepted of ACCEPTED_AILMENTS) {
    const found = eligible.filter((candidate) => accepted.includes(ailment(candidate, nowMs)));
    if (found.length > 0) return found;
  }
  return eligible;
}

/** What is put up with, from the first of these with which anybody is left. */
const ACCEPTED_AILMENTS: readonly (readonly (Verdict | undefined)[])[] = [
  [undefined],
  ['silent'],
  ['cooling'],
  ['forbidden'],
];

function barredBy(candidate: Candidate, request: RoutingRequest): Verdict | undefined {
  const { avoid, tried } = request;
  if (avoid.nodes.has(candidate.node) || avoid.owners.has(candidate.owner)) return 'avoided';
  if (tried.has(candidate.node)) return 'tried';
  return request.counted === true && isTooBusy(candidate, request) ? 'too busy' : undefined;
}

/** Whether by news of its load a node would refuse the request: what is ahead of it there leaves no time for it. */
function isTooBusy(candidate: Candidate, { bodyBytes, remainingMs }: RoutingRequest): boolean {
  if (candidate.waiting === 0 || !isNews(candidate)) return false;
  const { queueMs, serviceMs } = estimateCompletion(candidate, bodyBytes, NOTHING_KNOWN);
  return queueMs + serviceMs > remainingMs;
}

/** Who has not measured what an execution takes is not known to be too busy. */
const NOTHING_KNOWN: Fallback = { serviceMs: 0, roundTripMs: 0 };

/** Liveness before load: a dead node has nothing in flight. */
function ailment(candidate: Candidate, nowMs: number): Verdict | undefined {
  // Before all else: it answers at once, and always the same.
  if (candidate.forbiddenUntilMs > nowMs) return 'forbidden';
  if (candidate.coolingUntilMs > nowMs) return 'cooling';
  return candidate.suspect ? 'silent' : undefined;
}

function choose<C extends Candidate>(
  open: readonly Judgement<C>[],
  request: RoutingRequest,
  { nowMs, random }: RoutingContext,
): Judgement<C> | undefined {
  if (open.length === 0) return undefined;
  const untilMs = leastOf(open, ({ candidate }) => candidate.coolingUntilMs);
  // All cool: the least bad one is tried, and only that one.
  if (untilMs > nowMs) return open.find(({ candidate }) => candidate.coolingUntilMs === untilMs);
  return bestOf(narrow(open, request, random), request, random);
}

/** Leaves out whom others are better than for other reasons than time; what is left is never empty. */
function narrow<C extends Candidate>(
  open: readonly Judgement<C>[],
  request: RoutingRequest,
  random: () => number,
): readonly Judgement<C>[] {
  const { bodyBytes, remainingMs, failedOwners } = request;
  let left = leaveOut(open, 'too small', ({ refusedBytes }) => bodyBytes < refusedBytes);
  const most = -leastOf(left, ({ estimate, candidate }) =>
    estimate.totalMs <= remainingMs ? -candidate.wishesMet : 0,
  );
  left = leaveOut(left, 'not preferred', ({ wishesMet }) => wishesMet >= most);
  left = leaveOut(left, 'same owner', ({ owner }) => !failedOwners.has(owner));
  // All shares as parts of the largest: to a client that has just begun all nodes are new, and none of them is a newcomer.
  const largest = -leastOf(left, ({ candidate }) => -candidate.startShare);
  left = leaveOut(
    left,
    'starting',
    ({ startShare }) => startShare >= largest || random() * largest < startShare,
  );
  const { affinity } = request;
  if (affinity !== undefined || left.length <= ALL_PROBED) return left;
  const drawn = new Set<Candidate>(
    contenders(
      left.map(({ candidate }) => candidate),
      random,
    ),
  );
  return leaveOut(left, 'not drawn', (candidate) => drawn.has(candidate));
}

function leaveOut<C extends Candidate>(
  judged: readonly Judgement<C>[],
  verdict: Verdict,
  keeps: (candidate: C) => boolean,
): readonly Judgement<C>[] {
  const kept = judged.filter(({ candidate }) => keeps(candidate));
  if (kept.length === 0 || kept.length === judged.length) return judged;
  // In the order of all: the next one kept is met before any after it.
  let next = 0;
  for (const judgement of judged) {
    if (judgement === kept[next]) next += 1;
    else judgement.verdict = verdict;
  }
  return kept;
}

/** The least value; infinite of none. */
function leastOf<T>(items: readonly T[], valueOf: (item: T) => number): number {
  let least = Number.POSITIVE_INFINITY;
  for (const item of items) least = Math.min(least, valueOf(item));
  return least;
}

function bestOf<C extends Candidate>(
  judged: readonly Judgement<C>[],
  request: RoutingRequest,
  random: () => number,
): Judgement<C> | undefined {
  if (judged.length === 1) return judged[0];
  const cold = leaveOutHot(judged);
  if (request.affinity !== undefined) {
    const bestMs = leastOf(cold, ({ estimate }) => estimate.totalMs);
    const boundMs = Math.max(bestMs + TIE_MS, AFFINITY_RATIO * bestMs);
    return affine(
      cold.filter(({ estimate }) => estimate.totalMs <= boundMs),
      request.affinity,
    );
  }
  const certain = cold.map((judgement) => {
    const doubtMs = Math.min(judgement.estimate.queueMs, doubtOf(judgement));
    const { queueMs, totalMs } = judgement.estimate;
    return { judgement, queueMs: queueMs - doubtMs, totalMs: totalMs - doubtMs };
  });
  const leastMs = leastOf(certain, ({ totalMs }) => totalMs);
  const tied = certain
    .filter(({ queueMs, totalMs }) => {
      const share = queueMs === 0 ? IDLE_TIE_SHARE : TIE_SHARE;
      return totalMs <= leastMs + Math.max(TIE_MS, share * leastMs);
    })
    .map(({ judgement }) => judgement);
  for (const judgement of tied) judgement.verdict = 'as good';
  return longestRested(tied, random);
}

/**
 * Milliseconds of a queue that old news may be wrong by: about as many requests came as went since, and what that leaves grows
 * with the root of how many. Going by less would send all who heard the same news to the same node.
 */
function doubtOf<C extends Candidate>({ candidate, estimate }: Judgement<C>): number {
  if (isNews(candidate)) return 0;
  const turnMs = Math.max(0.01, estimate.serviceMs / Math.max(1, candidate.load.slots));
  return Math.max(estimate.serviceMs, turnMs * Math.sqrt(candidate.loadAgeMs / turnMs));
}

/**
 * Hot is who has more ahead than {@link HOT_QUANTILE} of the others. Prequal counts requests in flight for that; here nodes differ
 * sixty times in speed, so what counts is how long they take to work them off.
 */
function leaveOutHot<C extends Candidate>(
  judged: readonly Judgement<C>[],
): readonly Judgement<C>[] {
  const backlogs = judged.map(({ estimate }) => estimate.queueMs).toSorted((a, b) => a - b);
  const boundMs = backlogs[Math.ceil(HOT_QUANTILE * backlogs.length) - 1] ?? 0;
  const cold = judged.filter(({ estimate, candidate }) => {
    return estimate.queueMs <= boundMs || candidate.waiting < candidate.load.slots;
  });
  if (cold.length === judged.length) return judged;
  for (const judgement of judged) if (!cold.includes(judgement)) judgement.verdict = 'hot';
  return cold;
}

/** Rendezvous: each request of one affinity ranks the nodes alike, and one that goes takes only its own requests along. */
function affine<C extends Candidate>(
  judged: readonly Judgement<C>[],
  affinity: string,
): Judgement<C> | undefined {
  let best: Judgement<C> | undefined;
  let bestHash = -1;
  for (const judgement of judged) {
    judgement.verdict = 'as good';
    const hash = stableHash(`${affinity}\0${judgement.candidate.node}`);
    if (hash > bestHash) [best, bestHash] = [judgement, hash];
  }
  return best;
}

function longestRested<C extends Candidate>(
  tied: readonly Judgement<C>[],
  random: () => number,
): Judgement<C> | undefined {
  const oldestMs = leastOf(tied, ({ candidate }) => candidate.lastSentAtMs);
  const rested = tied.filter(({ candidate }) => candidate.lastSentAtMs === oldestMs);
  return rested[Math.floor(random() * rested.length)];
}
