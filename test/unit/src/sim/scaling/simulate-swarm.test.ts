import { describe, expect, it } from 'vitest';
import { clairvoyantReplicaMs } from '../../../../../src/sim/scaling/clairvoyant.ts';
import {
  diurnalTrace,
  steadyTrace,
  stepTrace,
} from '../../../../../src/sim/scaling/demand-trace.ts';
import { failedShare, oscillations } from '../../../../../src/sim/scaling/outcome-figures.ts';
import { plotOutcomes } from '../../../../../src/sim/scaling/outcome-plot.ts';
import { createScenario, type ScenarioInit } from '../../../../../src/sim/scaling/scenario-init.ts';
import { simulateSwarm, type SwarmOutcome } from '../../../../../src/sim/scaling/simulate-swarm.ts';

const SMALL: ScenarioInit = {
  ...{ nodes: 12, clients: 60, versions: 2, durationMs: 60_000, deadlineMs: 5_000 },
  trace: steadyTrace(20),
};

function run(init: Partial<ScenarioInit> = {}): SwarmOutcome {
  return simulateSwarm(createScenario({ ...SMALL, ...init }));
}

function readyAt({ records }: SwarmOutcome, second: number): number {
  return records[0]?.seconds[second]?.ready ?? -1;
}

describe('simulateSwarm', () => {
  it('gives the same outcome for the same seed, and another for another', () => {
    const figures = (outcome: SwarmOutcome) => [outcome.events, outcome.requests];
    expect(figures(run({ seed: 3 }))).toEqual(figures(run({ seed: 3 })));
    expect(figures(run({ seed: 3 }))).not.toEqual(figures(run({ seed: 4 })));
  });

  it('answers every request of a steady demand that its replicas are enough for', () => {
    const outcome = run();
    expect(outcome.requests).toBeGreaterThan(1_000);
    expect(failedShare(outcome.records)).toBe(0);
    expect(oscillations(outcome, 300_000)).toBe(0);
  });

  it('takes about as long as one request does where nobody waits', () => {
    const { records } = run({ trace: steadyTrace(2), serviceMs: 100 });
    const p50Ms = records[0]?.all.quantileMs(0.5) ?? 0;
    // 100 ms of work, and 2 to 120 ms there and back.
    expect(p50Ms).toBeGreaterThan(80);
    expect(p50Ms).toBeLessThan(220);
  });

  it('refuses what would wait too long behind a slow request of another version', () => {
    const deployment = { maxReplicas: 1 };
    const scenario = createScenario({ ...SMALL, nodes: 1, deadlineMs: 2_000, deployment });
    const [slow, quick] = scenario.versions;
    if (slow === undefined || quick === undefined) expect.fail('expected two versions');
    const { records } = simulateSwarm({
      ...scenario,
      versions: [
        { ...slow, serviceMs: 8_000, trace: steadyTrace(0.1) },
        { ...quick, serviceMs: 10, trace: steadyTrace(5) },
      ],
    });
    // Alone they would be 5 % of what the node can do, and never refused.
    const seconds = records[1]?.seconds ?? [];
    expect(seconds.reduce((sum, { refused }) => sum + refused, 0)).toBeGreaterThan(20);
  });

  it('makes replicas for a crowd, on nodes that held none of it', () => {
    const crowd = stepTrace(4, { perS: 60, fromMs: 20_000, untilMs: 1e9 });
    const outcome = run({ trace: crowd, versions: 1, fileBytes: 1e6 });
    expect(readyAt(outcome, 15)).toBeLessThanOrEqual(2);
    expect(readyAt(outcome, 55)).toBeGreaterThanOrEqual(6);
    expect(outcome.records[0]?.seconds[55]?.p99Ms).toBeLessThan(1_000);
  });

  it('has what is ordered claimed in one moment, and nobody plan beside it', () => {
    const orders = [{ atMs: 10_000, version: 1, replicas: 5 }];
    const outcome = run({ orders, fileBytes: 1e6, trace: steadyTrace(20) });
    const readyOf = (version: number, second: number) =>
      outcome.records[version]?.seconds[second]?.ready;
    expect([readyOf(1, 8), readyOf(1, 15)]).toEqual([readyOf(1, 0), 5]);
    expect(readyOf(0, 55)).toBe(readyOf(0, 0));
    expect(outcome.actions).toEqual([]);
  });

  it('books refusals and failures in the second in which the request came', () => {
    const crowd = stepTrace(0, { perS: 100, fromMs: 20_000, untilMs: 21_000 });
    const { records } = run({ trace: crowd, versions: 1, deployment: { maxReplicas: 1 } });
    const seconds = records[0]?.seconds ?? [];
    const failed = seconds.filter((second) => second.failed > 0).map(({ atMs }) => atMs);
    expect(seconds.some(({ refused }) => refused > 0)).toBe(true);
    expect(failed.length).toBeGreaterThan(0);
    for (const atMs of failed) expect([21_000, 22_000]).toContain(atMs);
  });

  it('wakes a version that nobody serves for the first who asks', () => {
    const asked = stepTrace(0, { perS: 2, fromMs: 30_000, untilMs: 1e9 });
    const deployment = { minReplicas: 0 };
    const outcome = run({ trace: asked, versions: 1, fileBytes: 1e6, deployment });
    expect(readyAt(outcome, 25)).toBe(0);
    expect(readyAt(outcome, 50)).toBeGreaterThanOrEqual(1);
    expect(failedShare(outcome.records)).toBe(0);
  });

  it('heals what lost nodes took away', () => {
    const losses = { share: 0.4, atMs: 20_000 };
    const outcome = run({ losses, deployment: { minReplicas: 4 }, trace: steadyTrace(4) });
    expect(readyAt(outcome, 10)).toBeGreaterThanOrEqual(4);
    expect(readyAt(outcome, 55)).toBeGreaterThanOrEqual(4);
    expect(outcome.actions.some(({ action }) => action.kind === 'claim')).toBe(true);
  });

  it('goes to nodes that join with what the others have no room for', () => {
    const joins = { share: 0.5, atMs: 30_000 };
    const init = { memoryVersions: 1, versions: 1, fileBytes: 1e6, trace: steadyTrace(60) };
    const scenario = createScenario({ ...SMALL, ...init, joins });
    const late = scenario.nodes.filter(({ joinsAtMs }) => joinsAtMs === 30_000).length;
    const outcome = simulateSwarm(scenario);
    expect(late).toBeGreaterThan(3);
    expect(readyAt(outcome, 28)).toBeLessThanOrEqual(12 - late);
    expect(readyAt(outcome, 55)).toBeGreaterThan(12 - late);
    const acted = outcome.actions.filter(({ node }) => scenario.nodes[node]?.joinsAtMs !== 0);
    expect(Math.min(...acted.map(({ atMs }) => atMs))).toBeGreaterThanOrEqual(30_000);
  });

  it('leaves surplus replicas after a down-delay, and none before', () => {
    const fall = stepTrace(60, { perS: 6, fromMs: 10_000, untilMs: 1e9 });
    const settings = { stableWindowMs: 6_000, panicWindowMs: 1_000, downDelayMs: 20_000 };
    const outcome = run({ trace: fall, versions: 1, settings });
    expect(readyAt(outcome, 25)).toBeGreaterThanOrEqual(9);
    expect(readyAt(outcome, 58)).toBeLessThanOrEqual(3);
    expect(failedShare(outcome.records)).toBe(0);
  });
});

describe('clairvoyantReplicaMs', () => {
  it('is what each moment needs, loaded in time and gone at once', () => {
    const [version] = createScenario({ ...SMALL, versions: 1, serviceMs: 100 }).versions;
    if (version === undefined) expect.fail('no version');
    const trace = stepTrace(7, { perS: 35, fromMs: 20_000, untilMs: 30_000 });
    const init = { durationMs: 60_000, targetUtilisation: 0.7, leadMs: 4_000 };
    // One replica for a minute, and four more for ten seconds and the four that they load.
    expect(clairvoyantReplicaMs({ ...init, version: { ...version, trace } })).toBe(
      60_000 + 4 * 14_000,
    );
    const day = diurnalTrace(7, { swing: 0, dayMs: 60_000 });
    expect(clairvoyantReplicaMs({ ...init, version: { ...version, trace: day } })).toBe(60_000);
  });
});

describe('plotOutcomes', () => {
  it('draws every curve on a page of its own, with titles escaped', () => {
    const { records } = run({ durationMs: 10_000 });
    const seconds = records[0]?.seconds ?? [];
    const page = plotOutcomes('a <b> day', [{ title: 'one', note: 'two', seconds }]);
    expect(page.match(/<polyline/g)).toHaveLength(8);
    expect(page).toContain('a &lt;b&gt; day');
    expect(page).not.toMatch(/NaN|undefined|https?:/);
  });
});
