import type { Outcome } from './tally.ts';
import { endOf, type NodeSpec, type Traffic } from './traffic.ts';

/**
 * What somebody would do who knows every queue, what each request will take and when nodes will pause: each request goes where
 * it ends first. Nothing has to travel, and nobody waits for news. What no policy can know, it is the measure of all.
 */
export function replayKnowingAll({ arrivals }: Traffic, nodes: readonly NodeSpec[]): Outcome[] {
  const freeAtMs = nodes.map(() => 0);
  return arrivals.map(({ atMs, work }) => {
    let [best, bestMs] = [0, Number.POSITIVE_INFINITY];
    nodes.forEach((node, index) => {
      const endMs = endOf(node, Math.max(atMs, freeAtMs[index] ?? 0), work * node.serviceMs);
      if (endMs < bestMs) [best, bestMs] = [index, endMs];
    });
    freeAtMs[best] = bestMs;
    return { atMs, node: best, latencyMs: bestMs - atMs, work };
  });
}
