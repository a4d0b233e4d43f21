import type { ReplicaAction } from '../../policy/scaling/scaling-view.ts';
import type { SwarmOutcome } from './simulate-swarm.ts';
import type { SecondFigures, VersionRecord } from './swarm-record.ts';

/** Seconds for which a latency must hold until the end to be back: of fewer nobody knows. */
const SETTLED_SECONDS = 3;

/**
 * Milliseconds from a moment until 99 of 100 requests that come are answered within the objective, for good: in each second until
 * the end in which any come. Null for never.
 */
export function recoveryMs(
  { seconds }: Pick<VersionRecord, 'seconds'>,
  fromMs: number,
  objectiveMs: number,
): number | null {
  let backMs: number | null = null;
  let good = 0;
  for (const { atMs, offered, p99Ms } of seconds) {
    if (atMs <= fromMs || offered === 0) continue;
    if (p99Ms > 0 && p99Ms <= objectiveMs) {
      backMs ??= atMs - 1_000 - fromMs;
      good += 1;
    } else {
      backMs = null;
      good = 0;
    }
  }
  return good >= SETTLED_SECONDS ? backMs : null;
}

/** Share of the requests that nobody answered within their deadline, of the seconds that `counts` takes. */
export function failedShare(
  records: readonly Pick<VersionRecord, 'seconds'>[],
  counts: (second: SecondFigures) => boolean = () => true,
): number {
  return shareOf(records, 'failed', counts);
}

/** Refusals for each request, of the seconds that `counts` takes; a request may be refused by several nodes, and answered then. */
export function refusedShare(
  records: readonly Pick<VersionRecord, 'seconds'>[],
  counts: (second: SecondFigures) => boolean = () => true,
): number {
  return shareOf(records, 'refused', counts);
}

function shareOf(
  records: readonly Pick<VersionRecord, 'seconds'>[],
  what: 'failed' | 'refused',
  counts: (second: SecondFigures) => boolean,
): number {
  const counted = records.flatMap(({ seconds }) => seconds.filter(counts));
  const offered = counted.reduce((sum, second) => sum + second.offered, 0);
  return offered === 0 ? 0 : counted.reduce((sum, second) => sum + second[what], 0) / offered;
}

/** Milliseconds within which 99 of 100 answers of the worst version came, over all of its time. */
export function worstP99Ms(records: readonly Pick<VersionRecord, 'all'>[]): number {
  return Math.max(...records.map(({ all }) => all.quantileMs(0.99)));
}

/** Versions that were scaled one way and then the other within a time: a claim, given up again or not, and a leave. */
export function oscillations({ actions }: Pick<SwarmOutcome, 'actions'>, withinMs: number): number {
  const last = new Map<string, { readonly isUp: boolean; readonly atMs: number }>();
  const swung = new Set<string>();
  for (const { atMs, action } of actions) {
    for (const { cid, isUp } of stepsOf(action)) {
      const before = last.get(cid);
      if (before !== undefined && before.isUp !== isUp && atMs - before.atMs < withinMs) {
        swung.add(cid);
      }
      last.set(cid, { isUp, atMs });
    }
  }
  return swung.size;
}

/** Which versions an action scales, and whether up: a move is a leave and a claim. */
function stepsOf(
  action: ReplicaAction,
): readonly { readonly cid: string; readonly isUp: boolean }[] {
  switch (action.kind) {
    case 'claim':
      return [{ cid: action.cid, isUp: true }];
    case 'leave':
      return [{ cid: action.cid, isUp: false }];
    case 'move':
      return [
        { cid: action.from, isUp: false },
        { cid: action.cid, isUp: true },
      ];
    case 'prefetch':
    case 'forget':
      return [];
  }
}

/** Replicas in memory, the mean from one moment to another, of all versions together. */
export function meanReplicas(
  records: readonly Pick<VersionRecord, 'seconds'>[],
  fromMs: number,
  untilMs: number,
): number {
  let [sum, count] = [0, 0];
  for (const { seconds } of records) {
    for (const { atMs, ready, loading } of seconds) {
      if (atMs <= fromMs || atMs > untilMs) continue;
      sum += ready + loading;
      count += 1;
    }
  }
  return count === 0 ? 0 : (sum / count) * records.length;
}
