import { describe, expect, it } from 'vitest';
import type { NodeSelector } from '../../../../src/policy/routing.ts';
import { replayKnowingAll } from '../../../../src/sim/oracle.ts';
import { seededRandom } from '../../../../src/sim/random.ts';
import { drawPools, type SwarmSpec, simulate } from '../../../../src/sim/simulation.ts';
import { tally } from '../../../../src/sim/tally.ts';
import {
  type NodeSpec,
  poissonTraffic,
  randomPauses,
  type Traffic,
} from '../../../../src/sim/traffic.ts';

const SECONDS = 20;

function nodesOf(...serviceMs: readonly number[]): NodeSpec[] {
  return serviceMs.map((ms, index) => ({ name: `n${index}`, serviceMs: ms, pauses: [] }));
}

function trafficOf(nodes: readonly NodeSpec[], load: number, clients: number): Traffic {
  const init = { nodes, load, clients, warmUpMs: 1_000, countedMs: SECONDS * 1000 };
  return poissonTraffic(init, seededRandom(7));
}

function swarmOf(nodes: readonly NodeSpec[], over: Partial<SwarmSpec> = {}): SwarmSpec {
  return { nodes, clients: 4, roundTripMs: () => 1, announceIntervalMs: 10_000, ...over };
}

function run(
  swarm: SwarmSpec,
  traffic: Traffic,
  selector?: () => NodeSelector,
  deadlineMs = 60_000,
) {
  return simulate({ swarm, pools: drawPools(swarm), traffic, selector, deadlineMs, seed: 1 });
}

const leastAnnounced: NodeSelector = (candidates) =>
  candidates.toSorted(
    (a, b) => a.load.queued + a.load.inFlight - b.load.queued - b.load.inFlight,
  )[0]?.node;

describe('simulate', () => {
  it('gives the same outcomes for the same seed', () => {
    const nodes = nodesOf(20, 20, 200);
    const traffic = trafficOf(nodes, 0.8, 4);
    expect(run(swarmOf(nodes), traffic)).toEqual(run(swarmOf(nodes), traffic));
  });

  it('ends every arrival once, answered or not, however overloaded the nodes are', () => {
    const nodes = nodesOf(20, 50);
    const traffic = trafficOf(nodes, 2, 4);
    const outcomes = run(swarmOf(nodes), traffic, undefined, 1_000);
    expect(outcomes.map(({ atMs }) => atMs)).toEqual(traffic.arrivals.map(({ atMs }) => atMs));
    expect(outcomes.some(({ node }) => node === null)).toBe(true);
    expect(Math.max(...outcomes.map(({ latencyMs }) => latencyMs))).toBeLessThan(1_001);
  });

  it('has a single node wait as the Pollaczek-Khinchine formula says', () => {
    const nodes = nodesOf(20);
    const load = 0.6;
    const init = { nodes, load, clients: 1, warmUpMs: 1_000, countedMs: 400_000 };
    const traffic = poissonTraffic(init, seededRandom(3));
    const outcomes = run(swarmOf(nodes, { clients: 1 }), traffic);
    const meanMs = outcomes.reduce((sum, { latencyMs }) => sum + latencyMs, 0) / outcomes.length;
    // Work is uniform from 0.5 to 1.5: its second moment is 1 + 1/12.
    const waitMs = (load * 20 * (1 + 1 / 12)) / (2 * (1 - load));
    expect(meanMs / (1 + 20 + waitMs)).toBeCloseTo(1, 1);
  });

  it('has clients that go by announcements alone herd, and the policy not', () => {
    const nodes = nodesOf(...Array.from({ length: 10 }, () => 20));
    const swarm = swarmOf(nodes, { clients: 500, announceIntervalMs: 2_000 });
    const traffic = trafficOf(nodes, 0.7, 500);
    const p99 = (selector?: () => NodeSelector): number =>
      tally(run(swarm, traffic, selector), nodes, traffic).p99Ms;
    expect(p99(() => leastAnnounced)).toBeGreaterThan(8 * p99());
  });

  it('keeps requests off a node that pauses, as far as that can be seen', () => {
    const random = seededRandom(5);
    const pauses = randomPauses(SECONDS * 1000, 1_000, [400, 600], random);
    const nodes = [...nodesOf(20, 20), { name: 'pausing', serviceMs: 20, pauses }];
    const traffic = trafficOf(nodes, 0.5, 4);
    const outcomes = run(swarmOf(nodes), traffic);
    const { p99Ms, failed } = tally(outcomes, nodes, traffic);
    expect(failed).toBe(0);
    expect(p99Ms).toBeLessThan(400);
  });
});

describe('replayKnowingAll', () => {
  it('is never slower on average than the policy', () => {
    const nodes = nodesOf(20, 20, 200);
    const traffic = trafficOf(nodes, 0.8, 4);
    const meanMs = (outcomes: readonly { readonly latencyMs: number }[]): number =>
      outcomes.reduce((sum, { latencyMs }) => sum + latencyMs, 0) / outcomes.length;
    expect(meanMs(replayKnowingAll(traffic, nodes))).toBeLessThan(
      meanMs(run(swarmOf(nodes), traffic)),
    );
  });
});
