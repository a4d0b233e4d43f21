import type { Figures } from '../../src/sim/tally.ts';
import { atLeast, atMost, type Column, rounded, type Target } from '../report.ts';
import { ORACLE } from './policies.ts';

/** The load at which the latency has a target, and the one at which fairness has. */
const LATENCY_LOAD = 0.8;
const FAIRNESS_LOAD = 0.95;

export interface BalanceRow extends Figures {
  readonly policy: string;
  /** Share of the capacity that was asked for. */
  readonly load: number;
}

export function toRow(policy: string, load: number, figures: Figures): BalanceRow {
  const { requests, failed, p50Ms, p99Ms, p999Ms, fairness, loads } = figures;
  return {
    ...{ policy, load, requests, failed },
    p50Ms: rounded(p50Ms),
    p99Ms: rounded(p99Ms),
    p999Ms: rounded(p999Ms),
    fairness: rounded(fairness),
    loads: loads.map(rounded),
  };
}

/**
 * The targets of ours that the rows have what to compare with. Fairness stands beside the oracle's: what that one lacks to 1 no
 * policy can give, for even who knows all leaves a slow node idle while the others are quicker in spite of their queues.
 */
export function toTargets(rows: readonly BalanceRow[], ours: string): Target[] {
  const pairAt = (load: number): readonly [BalanceRow, BalanceRow] | undefined => {
    const [own, oracle] = [ours, ORACLE].map((policy) =>
      rows.find((row) => row.policy === policy && row.load === load),
    );
    return own === undefined || oracle === undefined ? undefined : [own, oracle];
  };
  const targets: Target[] = [];
  const late = pairAt(LATENCY_LOAD);
  if (late !== undefined) {
    const [own, oracle] = late;
    targets.push(atMost(`p99 at ${LATENCY_LOAD} / oracle`, own.p99Ms / oracle.p99Ms, 1.3));
  }
  const fair = pairAt(FAIRNESS_LOAD);
  if (fair !== undefined) {
    const [own, oracle] = fair;
    const name = `fairness at ${FAIRNESS_LOAD}`;
    targets.push(atLeast(`${name} (the oracle's is ${oracle.fairness})`, own.fairness, 0.95));
    targets.push(atLeast(`${name} / oracle`, own.fairness / oracle.fairness, 0.95));
  }
  return targets;
}

/** Of very many nodes the loads say nothing one by one. */
const MAX_SHOWN_LOADS = 8;

export const COLUMNS: readonly Column<BalanceRow>[] = [
  { title: 'load', value: ({ load }) => String(load) },
  { title: 'policy', value: ({ policy }) => policy },
  { title: 'requests', value: ({ requests }) => String(requests) },
  { title: 'failed', value: ({ failed }) => String(failed) },
  { title: 'p50 ms', value: ({ p50Ms }) => String(p50Ms) },
  { title: 'p99 ms', value: ({ p99Ms }) => String(p99Ms) },
  { title: 'p99.9 ms', value: ({ p999Ms }) => String(p999Ms) },
  { title: 'fairness', value: ({ fairness }) => String(fairness) },
  {
    title: 'loads',
    value: ({ loads }) =>
      loads.length > MAX_SHOWN_LOADS ? `${loads.length} nodes` : loads.join(', '),
  },
];
