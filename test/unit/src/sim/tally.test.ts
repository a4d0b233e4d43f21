import { describe, expect, it } from 'vitest';
import { jainIndex, tally } from '../../../../src/sim/tally.ts';

const NODES = [
  { name: 'a', serviceMs: 10, pauses: [] },
  { name: 'b', serviceMs: 100, pauses: [{ fromMs: 100, untilMs: 600 }] },
];

describe('jainIndex', () => {
  it.each([
    [[1, 1, 1, 1], 1],
    [[1, 0, 0, 0], 0.25],
    [[0, 0], 1],
  ])('of %j is %d', (values, index) => {
    expect(jainIndex(values)).toBe(index);
  });
});

describe('tally', () => {
  const traffic = { durationMs: 1_100, countedFromMs: 100, arrivals: [] };

  it('sets what a node answered against what it could have without its pauses', () => {
    const outcomes = [
      { atMs: 150, node: 0, latencyMs: 10, work: 50 },
      { atMs: 200, node: 1, latencyMs: 20, work: 2 },
    ];
    expect(tally(outcomes, NODES, traffic).loads).toEqual([0.5, 0.4]);
  });

  it('leaves out what came before it counts, and counts who failed with the time until then', () => {
    const outcomes = [
      { atMs: 99, node: 0, latencyMs: 9_000, work: 1 },
      { atMs: 100, node: 0, latencyMs: 10, work: 1 },
      { atMs: 101, node: null, latencyMs: 5_000, work: 1 },
    ];
    expect(tally(outcomes, NODES, traffic)).toMatchObject({
      requests: 2,
      failed: 1,
      p50Ms: 10,
      p99Ms: 5_000,
    });
  });
});
