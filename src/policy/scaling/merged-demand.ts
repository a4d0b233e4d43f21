import { totalPerS } from '../../../protocols/demand/index.ts';
import type { NodeId } from '../../../protocols/types.ts';
import { median } from '../median.ts';
import type { ReplicaCapacity } from './replica-capacity.ts';
import type { FormerHolder } from './scaling-memory.ts';
import type { ScalingSettings } from './scaling-settings.ts';
import type { DemandReport, VersionView } from './scaling-view.ts';

/** Holders from which on what one says is bounded by what the others say: of two nobody can tell who is right. */
const MIN_WITNESSES = 3;

/**
 * Times the middle holder's utilisation that one's counts as, at least and at most. Where all are busy one liar in twenty then
 * moves the sum by 2.5 %, and by 4 % when it lies about its speed too.
 */
const UTILISATION_BOUNDS = [0.5, 1.5] as const;

/** Share of what holders saw that all others may add: a request that reached no holder is rare while there are any. */
const OUTSIDER_SHARE = 0.1;

/** Share of what is asked for that catching up adds at most: replicas made for a backlog stay long after it. */
const MAX_BACKLOG_SHARE = 0.5;

/** Demand for one version, over all that told of it. */
export interface MergedDemand {
  /** Requests a second over the stable window. */
  readonly stablePerS: number;
  /** Requests a second over the panic window, and what has to be caught up on. */
  readonly panicPerS: number;
  /** Milliseconds for which a request takes a slot, of the middle holder; null when nobody has measured. */
  readonly serviceTimeMs: number | null;
  /** Whether anybody asked for it within a panic window. */
  readonly asked: boolean;
  /** Holders that told of it. */
  readonly witnesses: number;
}

interface Witness {
  /** Requests a second that it can do. */
  readonly perS: number;
  /** Whether its whole window lies in the time in which it was ready: a newcomer says little of the others. */
  readonly settled: boolean;
  /** Whether it is ready still: one that is not has no reason to be asked. */
  readonly serving: boolean;
  readonly offeredPerS: number;
  /** Share of its word that still counts. */
  readonly weight: number;
}

/**
 * Adds up what peers told of a version.
 *
 * Holders are bounded in their utilisation, what each was offered over what it can do: routing evens that out over nodes that
 * differ 60 times in speed, so that what is far from the middle is no news, or no truth. Those not heard of, for with many
 * holders not all tell often, are taken to be as busy as the others. What others than holders say adds a tenth, or asks for one
 * replica while there is none.
 *
 * @see Dixon, "Simplified Estimation from Censored Normal Samples", Ann. Math. Statist. 31(2), 1960, on Winsorised means
 */
export function mergeDemand(
  version: VersionView,
  capacity: ReplicaCapacity,
  former: ReadonlyMap<NodeId, FormerHolder>,
  settings: ScalingSettings,
): MergedDemand {
  const ready = new Map(
    version.replicas.filter(({ state }) => state === 'ready').map((one) => [one.node, one]),
  );
  const { stableWindowMs, panicWindowMs, targetUtilisation } = settings;
  const stable: Witness[] = [];
  const panic: Witness[] = [];
  const outside = { stablePerS: 0, panicPerS: 0 };
  const heard = new Set<NodeId>();
  let asked = false;
  for (const report of version.reports) {
    const replica = ready.get(report.reporter);
    const held = replica ?? former.get(report.reporter);
    // Who serves no more tells no more, and has not since its last word: what it did the others do, and their windows show it.
    const lastingMs = held !== undefined && replica === undefined ? 0 : report.intervalMs;
    const fading = (windowMs: number): number => {
      return Math.min(1, Math.max(0, 1 - (report.ageMs - lastingMs) / windowMs));
    };
    const stableWeight = fading(stableWindowMs);
    const panicWeight = fading(panicWindowMs);
    if (panicWeight > 0 && (totalPerS(report.panic) > 0 || report.inFlight > 0)) asked = true;
    if (stableWeight > 0) heard.add(report.reporter);
    if (report.role === 'client' || held === undefined) {
      outside.stablePerS += stableWeight * totalPerS(report.stable);
      outside.panicPerS += panicWeight * totalPerS(report.panic);
      continue;
    }
    const perS = capacity.of({ node: report.reporter, requestsPerS: held.requestsPerS });
    const forMs = replica?.forMs ?? Number.POSITIVE_INFINITY;
    const backlogPerS = backlogOf(report, version.deployment.targetInFlight, panicWindowMs);
    const serving = replica !== undefined;
    stable.push({
      ...{ perS, serving, weight: stableWeight, settled: forMs >= stableWindowMs },
      offeredPerS: totalPerS(report.stable),
    });
    panic.push({
      ...{ perS, serving, weight: panicWeight, settled: forMs >= panicWindowMs },
      offeredPerS: totalPerS(report.panic) + backlogPerS,
    });
  }
  const silent = [...ready.values()].filter((one) => !heard.has(one.node));
  const insidePerS = (witnesses: readonly Witness[], windowMs: number): number => {
    const sum = bounded(witnesses, targetUtilisation);
    const quietPerS = silent
      .filter(({ forMs }) => forMs >= windowMs)
      .reduce((total, one) => total + capacity.of(one), 0);
    return sum.offeredPerS + sum.utilisation * quietPerS;
  };
  const addedPerS = (holdersPerS: number, outsidePerS: number): number => {
    const most = ready.size === 0 ? capacity.usualPerS : OUTSIDER_SHARE * holdersPerS;
    return holdersPerS + Math.min(outsidePerS, most);
  };
  return {
    stablePerS: addedPerS(insidePerS(stable, stableWindowMs), outside.stablePerS),
    panicPerS: addedPerS(insidePerS(panic, panicWindowMs), outside.panicPerS),
    serviceTimeMs: middleServiceTime(version.reports),
    asked,
    witnesses: stable.length,
  };
}

/** Requests a second that would work off, within a panic window, what waits beyond what the publisher aims at. */
function backlogOf(report: DemandReport, targetInFlight: number, panicWindowMs: number): number {
  const perS = (1_000 * Math.max(0, report.inFlight - targetInFlight)) / panicWindowMs;
  return Math.min(perS, MAX_BACKLOG_SHARE * totalPerS(report.panic));
}

interface BoundedSum {
  readonly offeredPerS: number;
  /** What was offered over what could be done, of the settled ones. */
  readonly utilisation: number;
}

/** The sum of what was offered, each holder's utilisation held near the middle one. */
function bounded(witnesses: readonly Witness[], targetUtilisation: number): BoundedSum {
  const settled = witnesses.filter((one) => one.settled && one.weight > 0);
  const judges = settled.length >= MIN_WITNESSES ? settled : witnesses;
  const middle = median(judges.map(utilisationOf));
  if (middle === undefined) return { offeredPerS: 0, utilisation: 0 };
  const [least, times] = UTILISATION_BOUNDS;
  // Where there is little to do the fastest do it all, and the middle one idles: up to what is aimed at nobody is doubted.
  const most = Math.max(targetUtilisation, times * middle);
  let [offeredPerS, settledPerS, capacityPerS] = [0, 0, 0];
  for (const witness of witnesses) {
    let utilisation = utilisationOf(witness);
    if (witnesses.length >= MIN_WITNESSES) {
      utilisation = Math.min(utilisation, most);
      // A newcomer that was asked little is no liar, and neither is one that has left.
      if (witness.settled && witness.serving) utilisation = Math.max(utilisation, least * middle);
    }
    const saidPerS = witness.weight * utilisation * witness.perS;
    offeredPerS += saidPerS;
    if (!witness.settled) continue;
    settledPerS += saidPerS;
    capacityPerS += witness.weight * witness.perS;
  }
  return { offeredPerS, utilisation: capacityPerS === 0 ? 0 : settledPerS / capacityPerS };
}

function utilisationOf({ offeredPerS, perS }: Witness): number {
  return offeredPerS / perS;
}

function middleServiceTime(reports: readonly DemandReport[]): number | null {
  const times = reports.flatMap(({ serviceTimeMs }) =>
    serviceTimeMs === null ? [] : serviceTimeMs,
  );
  return median(times) ?? null;
}
