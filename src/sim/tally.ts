import { type NodeSpec, type Traffic, workingMs } from './traffic.ts';

/** How one request ended. */
export interface Outcome {
  /** When it came, in milliseconds of the traffic. */
  readonly atMs: number;
  /** Index of the node that answered; null when none did. */
  readonly node: number | null;
  /** Milliseconds from its arrival to its answer, or until it failed. */
  readonly latencyMs: number;
  readonly work: number;
}

/** What a policy made of some traffic. */
export interface Figures {
  readonly requests: number;
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /** Jain's index over {@link loads}: 1 when all are alike, 1 ÷ nodes when one has everything. */
  readonly fairness: number;
  /** For each node, what it answered over what it could have in that time. */
  readonly loads: readonly number[];
}

/** Sums up the requests that count. One that failed is as slow as it was until then: it is none that was quick. */
export function tally(
  outcomes: readonly Outcome[],
  nodes: readonly NodeSpec[],
  { countedFromMs, durationMs }: Traffic,
): Figures {
  const counted = outcomes.filter(({ atMs }) => atMs >= countedFromMs);
  const latenciesMs = counted.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b);
  const busyMs = nodes.map(() => 0);
  for (const { node, work } of counted) {
    if (node !== null) busyMs[node] = (busyMs[node] ?? 0) + work * (nodes[node]?.serviceMs ?? 0);
  }
  const loads = nodes.map(
    (node, index) => (busyMs[index] ?? 0) / workingMs(node, countedFromMs, durationMs),
  );
  return {
    requests: counted.length,
    failed: counted.filter(({ node }) => node === null).length,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
    p999Ms: quantile(latenciesMs, 0.999),
    fairness: jainIndex(loads),
    loads,
  };
}

/**
 * (Σx)² ÷ (n Σx²); 1 for nothing at all.
 *
 * @see Jain, Chiu and Hawe, "A Quantitative Measure of Fairness and Discrimination", DEC TR-301, 1984
 */
export function jainIndex(values: readonly number[]): number {
  const sum = values.reduce((total, value) => total + value, 0);
  const squares = values.reduce((total, value) => total + value * value, 0);
  return squares === 0 ? 1 : (sum * sum) / (values.length * squares);
}

/** The nearest rank; 0 of none. */
function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}
