import { median } from '../median.ts';
import type { ScalingNode, VersionView } from './scaling-view.ts';

/** Requests a second assumed of a replica while nothing was measured anywhere: a small model on a CPU. */
const ASSUMED_PER_S = 50;

/**
 * Usual replicas that one counts as at most. Nodes differ 60 times in speed, the fastest is some eight times the middle one, and
 * is counted short, which is the safe side: one in twenty that says so and lies moves the sum by 15 %.
 */
const MAX_REPLICA_RATIO = 4;

/** Share of what a node can do that is expected of it at least, however busy: it will share its time. */
const MIN_FREE_SHARE = 0.1;

/** What replicas of one version can do, in requests a second. */
export interface ReplicaCapacity {
  /** Of the middle one: what is assumed where nothing was measured. */
  readonly usualPerS: number;
  /** Of one with such a measurement, null for none. */
  of(requestsPerS: number | null): number;
  /** Expected of a node that does not serve it yet. */
  expectedOf(node: ScalingNode | undefined): number;
}

export function measureCapacity(version: VersionView): ReplicaCapacity {
  const measured = version.replicas
    .filter(({ state, requestsPerS }) => state === 'ready' && isPositive(requestsPerS))
    .map(({ requestsPerS }) => requestsPerS ?? 0);
  const told = version.reports
    .filter(({ serviceTimeMs }) => isPositive(serviceTimeMs))
    .map(({ serviceTimeMs }) => 1_000 / (serviceTimeMs ?? 1));
  const usualPerS = median(measured) ?? median(told) ?? ASSUMED_PER_S;
  const of = (requestsPerS: number | null): number => {
    if (requestsPerS === null || !isPositive(requestsPerS)) return usualPerS;
    return Math.min(requestsPerS, MAX_REPLICA_RATIO * usualPerS);
  };
  return {
    usualPerS,
    of,
    expectedOf: (node) => {
      const freeShare = Math.max(MIN_FREE_SHARE, 1 - (node?.busyShare ?? 0));
      return freeShare * of((node?.speed ?? 1) * usualPerS);
    },
  };
}

function isPositive(value: number | null): boolean {
  return value !== null && value > 0 && Number.isFinite(value);
}
