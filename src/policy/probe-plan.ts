import type { NodeId } from '../../protocols/types.ts';
import { ASSUMED_SERVICE_MS, bestKnown, type Candidate, estimateCompletion } from './routing.ts';

/** Nodes asked for their load before a request is sent, as many as Prequal probes for each. */
export const PROBES = 3;

/** A version on no more nodes than this has all of them asked: leaving some out would leave out the best. */
export const ALL_PROBED = 5;

/** A probe is waited for when an answer is expected to take at least so many round trips: it then costs little beside a wrong choice. */
const WAIT_ROUND_TRIPS = 4;

/** Milliseconds after which a load says nothing any more, whatever the execution takes. As in Prequal, whose probes age out after it. */
export const LOAD_AGE_OUT_MS = 1_000;

/** Milliseconds that a report holds at least: what came a moment ago is not asked for again. */
const MIN_FRESH_MS = 10;

/**
 * Share of an execution after which a load that counts as news still is asked for again. At four fifths of the capacity two
 * others arrive in one execution at three equal nodes: with news of a fifth of it the p50 is 2 % less, the p99 3 % (bench/README.md).
 */
const PROBE_AGE_SHARE = 0.2;

export interface ProbePlan {
  /** Nodes to ask how busy they are. */
  readonly nodes: readonly NodeId[];
  /** Milliseconds to wait for what they say before one is chosen; 0 to choose at once, and know better the next time. */
  readonly waitMs: number;
}

const NO_PROBES: ProbePlan = { nodes: [], waitMs: 0 };

/**
 * Which nodes to ask how busy they are, before one is chosen.
 *
 * A load is news for as long as an execution takes; older, it tells of requests that are done. Choosing the best by old news
 * makes all clients choose the same one. So some nodes are drawn by their speed and asked, and only those whose load is news
 * are chosen from: {@link contenders}.
 *
 * @see Mitzenmacher, "How Useful Is Old Information?", IEEE TPDS 11(1), 2000
 */
export function planProbes(candidates: readonly Candidate[], random: () => number): ProbePlan {
  if (candidates.length < 2) return NO_PROBES;
  const stale = candidates.filter((candidate) => !isNews(candidate, PROBE_AGE_SHARE));
  if (stale.length === 0) return NO_PROBES;
  const drawn = candidates.length <= ALL_PROBED ? stale : draw(stale, random);
  const serviceMs = Math.min(...drawn.map(serviceOf));
  const roundTripMs = Math.max(...drawn.map((candidate) => candidate.roundTripMs ?? Infinity));
  // Old news of queues tells at least that there are some: how long, is what a probe is for.
  const waits = roundTripMs * WAIT_ROUND_TRIPS <= expectedMs(drawn);
  return {
    nodes: drawn.map(({ node }) => node),
    waitMs: waits ? Math.ceil(Math.max(2 * roundTripMs, serviceMs / 4)) : 0,
  };
}

/**
 * The candidates among which a node is chosen: of many, those whose load is news, and some drawn by their speed besides. The power
 * of few choices keeps old news from sending everybody to one node. News alone would not do: of a slow node it holds for longer,
 * so that whoever calls now and then would find slow nodes only.
 *
 * Where no load is news one is drawn, for the best of several would be the fastest, drawn by its speed and chosen for it: all who
 * know nothing would meet there.
 */
export function contenders<C extends Candidate>(
  candidates: readonly C[],
  random: () => number,
): readonly C[] {
  if (candidates.length <= ALL_PROBED) return candidates;
  const fresh = candidates.filter((candidate) => isNews(candidate));
  const old = candidates.filter((candidate) => !fresh.includes(candidate));
  return [...fresh, ...draw(old, random, fresh.length === 0 ? 1 : PROBES)];
}

/** True while a candidate's load tells of the requests that are there now: for so many executions, by default for one. */
export function isNews(candidate: Candidate, executions = 1): boolean {
  const serviceMs = executions * serviceOf(candidate);
  return candidate.loadAgeMs <= Math.min(LOAD_AGE_OUT_MS, Math.max(MIN_FRESH_MS, serviceMs));
}

function draw<C extends Candidate>(
  candidates: readonly C[],
  random: () => number,
  count = PROBES,
): readonly C[] {
  return drawByRate(candidates, rateOf, { random, count });
}

/** Some of many, none of them twice, each as likely as its rate is among those of all that are left. */
export function drawByRate<T>(
  items: readonly T[],
  rateOf: (item: T) => number,
  { random, count = PROBES }: { readonly random: () => number; readonly count?: number },
): readonly T[] {
  const left = items.map((item) => ({ item, rate: rateOf(item) }));
  const drawn: T[] = [];
  while (drawn.length < count && left.length > 0) {
    let point = random() * left.reduce((sum, { rate }) => sum + rate, 0);
    let index = left.findIndex(({ rate }) => {
      point -= rate;
      return point < 0;
    });
    if (index === -1) index = left.length - 1;
    for (const { item } of left.splice(index, 1)) drawn.push(item);
  }
  return drawn;
}

/** What the drawn are expected to take on average, without the way there. */
function expectedMs(drawn: readonly Candidate[]): number {
  const fallback = bestKnown(drawn);
  const sumMs = drawn.reduce((sum, candidate) => {
    const { queueMs, serviceMs } = estimateCompletion(candidate, 0, fallback);
    return sum + queueMs + serviceMs;
  }, 0);
  return sumMs / drawn.length;
}

function serviceOf({ serviceMs, load }: Candidate): number {
  return serviceMs ?? load.serviceMs ?? ASSUMED_SERVICE_MS;
}

/**
 * Requests a millisecond, less what a newcomer does not get yet. Those of a pool were drawn by their speed before: twice, and the
 * fastest would get its share squared.
 */
function rateOf(candidate: Candidate): number {
  if (candidate.pooled) return candidate.startShare;
  const turnMs = Math.max(0.01, candidate.load.serviceMs ?? serviceOf(candidate));
  return (candidate.startShare * Math.max(1, candidate.load.slots)) / turnMs;
}
