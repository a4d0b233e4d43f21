import { describe, expect, it } from 'vitest';
import { contenders, isNews, PROBES, planProbes } from '../../../../src/policy/probe-plan.ts';
import { seededRandom } from '../../../../src/sim/random.ts';
import { candidateOf, loadOf } from '../../../support/candidates.ts';

function stale(count: number, serviceMs = 20) {
  return Array.from({ length: count }, (_, index) =>
    candidateOf(`n${index}`, { loadAgeMs: 5_000, load: loadOf(serviceMs) }),
  );
}

describe('isNews', () => {
  it('holds for as long as an execution takes, for 10 ms at least and a second at most', () => {
    const news = (serviceMs: number, loadAgeMs: number) =>
      isNews(candidateOf('a', { load: loadOf(serviceMs), loadAgeMs }));
    expect([news(20, 20), news(20, 21)]).toEqual([true, false]);
    expect([news(0.1, 10), news(0.1, 11)]).toEqual([true, false]);
    expect([news(60_000, 1_000), news(60_000, 1_001)]).toEqual([true, false]);
    const node = candidateOf('a', { load: loadOf(100), loadAgeMs: 21 });
    expect([isNews(node), isNews(node, 0.2)]).toEqual([true, false]);
  });
});

describe('planProbes', () => {
  it('asks nobody when there is no choice, or no need', () => {
    expect(planProbes(stale(1), seededRandom(1)).nodes).toEqual([]);
    expect(planProbes([candidateOf('a'), candidateOf('b')], seededRandom(1)).nodes).toEqual([]);
  });

  it('asks all of few, and three of many', () => {
    expect(planProbes(stale(5), seededRandom(1)).nodes).toEqual(['n0', 'n1', 'n2', 'n3', 'n4']);
    const { nodes } = planProbes(stale(16), seededRandom(1));
    expect(new Set(nodes).size).toBe(PROBES);
  });

  it('waits for the answer where the request is expected to take at least four round trips', () => {
    expect(planProbes(stale(3, 4), seededRandom(1)).waitMs).toBe(2);
    expect(planProbes(stale(3, 40), seededRandom(1)).waitMs).toBe(10);
    expect(planProbes(stale(3, 3.9), seededRandom(1)).waitMs).toBe(0);
    const queued = stale(3, 3.9).map((candidate) => ({ ...candidate, waiting: 1 }));
    expect(planProbes(queued, seededRandom(1)).waitMs).toBe(2);
    const unmeasured = stale(3).map((candidate) => ({ ...candidate, roundTripMs: null }));
    expect(planProbes(unmeasured, seededRandom(1)).waitMs).toBe(0);
  });

  it('draws the faster ones more often', () => {
    const nodes = [
      ...stale(8, 10),
      ...stale(8, 100).map((candidate) => ({
        ...candidate,
        node: `slow ${candidate.node}` as typeof candidate.node,
      })),
    ];
    const random = seededRandom(1);
    let slow = 0;
    for (let round = 0; round < 500; round += 1) {
      slow += planProbes(nodes, random).nodes.filter((node) => node.startsWith('slow')).length;
    }
    expect(slow / (500 * PROBES)).toBeGreaterThan(0.05);
    expect(slow / (500 * PROBES)).toBeLessThan(0.15);
  });
});

describe('contenders', () => {
  it('are all of few, and of many those whose load is news with some drawn by their speed', () => {
    const few = stale(5);
    expect(contenders(few, seededRandom(1))).toBe(few);
    const fresh = [candidateOf('x'), candidateOf('y')];
    const found = contenders([...stale(10), ...fresh], seededRandom(1));
    expect(found.slice(0, 2)).toEqual(fresh);
    expect(found).toHaveLength(2 + PROBES);
  });

  it('are one drawn by its speed when no load is news, lest all who know nothing meet at the fastest', () => {
    const nodes = [...stale(5, 10), ...stale(5, 90)];
    const random = seededRandom(1);
    const drawn = Array.from({ length: 1_000 }, () => contenders(nodes, random));
    expect(drawn.every(({ length }) => length === 1)).toBe(true);
    const slow = drawn.filter(([one]) => one?.load.serviceMs === 90).length;
    expect(slow / 1_000).toBeGreaterThan(0.07);
    expect(slow / 1_000).toBeLessThan(0.13);
  });

  it('are drawn alike in a pool, which was drawn by their speed', () => {
    const pool = [...stale(5, 10), ...stale(5, 90)].map((node) => ({ ...node, pooled: true }));
    const random = seededRandom(1);
    const drawn = Array.from({ length: 1_000 }, () => contenders(pool, random)[0]);
    const slow = drawn.filter((one) => one?.load.serviceMs === 90).length;
    expect(slow / 1_000).toBeGreaterThan(0.45);
    expect(slow / 1_000).toBeLessThan(0.55);
  });
});
