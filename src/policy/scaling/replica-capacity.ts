import { totalPerS } from '../../../protocols/demand/index.ts';
import type { NodeId } from '../../../protocols/types.ts';
import { median } from '../median.ts';
import type { ScalingSettings } from './scaling-settings.ts';
import type { DemandReport, ReplicaView, ScalingNode, VersionView } from './scaling-view.ts';

/** Requests a second assumed of a replica while nothing was measured anywhere: a small model on a CPU. */
const ASSUMED_PER_S = 50;

/**
 * Usual replicas that one counts as at most. Nodes differ 60 times in speed, the fastest is some eight times the middle one, and
 * is counted short, which is the safe side.
 */
const MAX_REPLICA_RATIO = 4;

/**
 * Share of the middle holder's utilisation that one is taken to have at least. Clients go by what they measured and not by what a
 * node says, so that whoever is as fast as it says is asked for as much of it as the others are: asked for less than two thirds, it
 * can do less than it says. One liar in twenty then moves the sum by 2.5 %, and not by 15 %.
 */
const LEAST_UTILISATION = 2 / 3;

/** Holders from which on what one says is bounded by what the others are asked for: of two nobody can tell who is right. */
const MIN_JUDGES = 3;

/** Share of what a node can do that is expected of it at least, however busy: it will share its time. */
const MIN_FREE_SHARE = 0.1;

/**
 * Requests from which on what a replica says of its speed was measured on them. After a load, and after ten seconds without a request,
 * it is what its fastest trial runs took, which count as some ten runs.
 */
const MEASURED_REQUESTS = 10;

/** Intervals after which a digest that was to be followed by another is of another time. */
const OVERDUE = 2;

/** What replicas of one version can do, in requests a second. */
export interface ReplicaCapacity {
  /** Of the middle one: what is assumed where nothing was measured. */
  readonly usualPerS: number;
  /** Of one with such a measurement, null for none; bounded by what it was asked for beside the others, where it tells of that. */
  of(replica: Pick<ReplicaView, 'node' | 'requestsPerS'>): number;
  /** Expected of a node that does not serve it yet. */
  expectedOf(node: ScalingNode | undefined): number;
}

/** @param stableWindowMs milliseconds over which demand is counted: who has served for less says nothing of its speed by it */
export function measureCapacity(version: VersionView, stableWindowMs: number): ReplicaCapacity {
  const measured = version.replicas
    .filter(({ state, requestsPerS }) => state === 'ready' && isPositive(requestsPerS))
    .map(({ requestsPerS }) => requestsPerS ?? 0);
  const told = version.reports
    .filter(({ serviceTimeMs }) => isPositive(serviceTimeMs))
    .map(({ serviceTimeMs }) => 1_000 / (serviceTimeMs ?? 1));
  const usualPerS = median(measured) ?? median(told) ?? ASSUMED_PER_S;
  const said = (requestsPerS: number | null): number => {
    if (requestsPerS === null || !isPositive(requestsPerS)) return usualPerS;
    return Math.min(requestsPerS, MAX_REPLICA_RATIO * usualPerS);
  };
  const shown = shownPerS(version, said, stableWindowMs);
  return {
    usualPerS,
    of: ({ node, requestsPerS }) => {
      const saidPerS = said(requestsPerS);
      // Whoever claims no more than the middle one needs no proof.
      if (saidPerS <= usualPerS) return saidPerS;
      return Math.min(saidPerS, Math.max(usualPerS, shown.get(node) ?? saidPerS));
    },
    expectedOf: (node) => {
      const freeShare = Math.max(MIN_FREE_SHARE, 1 - (node?.busyShare ?? 0));
      return freeShare * said((node?.speed ?? 1) * usualPerS);
    },
  };
}

/**
 * Whether each replica that is ready has had enough requests of late that what they can do together is measured, and not guessed by a
 * load. Those of the last panic window do not count, for announcements come later than digests; but there must be some, or what was
 * measured may be forgotten by now.
 */
export function isCapacityMeasured(
  { replicas, reports }: Pick<VersionView, 'replicas' | 'reports'>,
  { stableWindowMs, panicWindowMs }: Pick<ScalingSettings, 'stableWindowMs' | 'panicWindowMs'>,
): boolean {
  const ready = replicas.filter(({ state }) => state === 'ready');
  const counted = new Map(
    reports
      .filter(({ role }) => role === 'node')
      .filter(({ panic }) => panic.arrivalsPerS > 0)
      .map(({ reporter, stable, panic }) => {
        const ofLateMs = panic.arrivalsPerS * panicWindowMs;
        return [reporter, (stable.arrivalsPerS * stableWindowMs - ofLateMs) / 1_000];
      }),
  );
  return (
    ready.length > 0 && ready.every(({ node }) => (counted.get(node) ?? 0) >= MEASURED_REQUESTS)
  );
}

/** The most that holders can do by what they were asked for, each beside the middle one; of those that tell of a whole window. */
function shownPerS(
  { replicas, reports }: VersionView,
  said: (requestsPerS: number | null) => number,
  stableWindowMs: number,
): ReadonlyMap<NodeId, number> {
  const settled = new Map<NodeId, number>();
  for (const { node, state, forMs, requestsPerS } of replicas) {
    if (state === 'ready' && forMs >= stableWindowMs) settled.set(node, said(requestsPerS));
  }
  const judged: { readonly node: NodeId; readonly offeredPerS: number; readonly perS: number }[] =
    [];
  for (const { reporter, role, stable, ageMs, intervalMs } of reports) {
    const perS = settled.get(reporter);
    // What is overdue is of another time than what the others say.
    if (perS === undefined || role !== 'node' || isOverdue({ ageMs, intervalMs })) continue;
    judged.push({ node: reporter, offeredPerS: totalPerS(stable), perS });
  }
  const middle = median(judged.map(({ offeredPerS, perS }) => offeredPerS / perS)) ?? 0;
  if (judged.length < MIN_JUDGES || middle === 0) return new Map();
  return new Map(
    judged.map(({ node, offeredPerS }) => [node, offeredPerS / (LEAST_UTILISATION * middle)]),
  );
}

function isPositive(value: number | null): boolean {
  return value !== null && value > 0 && Number.isFinite(value);
}

/** Whether a report that was to be followed by another is of another time. */
export function isOverdue({
  ageMs,
  intervalMs,
}: Pick<DemandReport, 'ageMs' | 'intervalMs'>): boolean {
  return ageMs > OVERDUE * intervalMs;
}
