import { describe, expect, it } from 'vitest';
import { resolveDeployment } from '../../../../../protocols/manifest/index.ts';
import {
  desiredCapacity,
  targetUtilisation,
} from '../../../../../src/policy/scaling/desired-capacity.ts';
import {
  firstMemory,
  type VersionMemory,
} from '../../../../../src/policy/scaling/scaling-memory.ts';
import { resolveScalingInit } from '../../../../../src/policy/scaling/scaling-settings.ts';

const SETTINGS = resolveScalingInit();

interface Asked {
  readonly stablePerS: number;
  readonly panicPerS?: number;
  readonly readyPerS?: number;
  readonly minReplicas?: number;
  readonly witnesses?: number;
  readonly have?: number;
  readonly recruited?: boolean;
}

/** One look after another at what was asked for, and what each found. */
function looks(...asked: readonly (Asked & { readonly atMs: number })[]) {
  let memory: VersionMemory = firstMemory(0);
  return asked.map(({ atMs, stablePerS, panicPerS = stablePerS, readyPerS = 100, ...rest }) => {
    const { minReplicas = 1, witnesses = 3, have = 1, recruited = false } = rest;
    const demand = { stablePerS, panicPerS, serviceTimeMs: 50, asked: panicPerS > 0, witnesses };
    const deployment = resolveDeployment({ minReplicas });
    const input = { demand, readyPerS, have, deployment, memory, recruited };
    const found = desiredCapacity(input, SETTINGS, atMs);
    memory = found.memory;
    return found;
  });
}

describe('desiredCapacity', () => {
  it('goes by the panic window, less what chance adds, where somebody said that replicas are lacking', () => {
    // 150 counted in six seconds: give or take 12.
    const shown = (25 * (1 - 3 / Math.sqrt(150))) / 0.7;
    const looked = { atMs: 0, stablePerS: 14, panicPerS: 25 };
    expect(looks({ ...looked, recruited: true })[0]?.wantedPerS).toBeCloseTo(shown, 9);
    expect(looks(looked)[0]?.wantedPerS).toBeCloseTo(20, 9);
    expect(looks({ ...looked, stablePerS: 35, recruited: true })[0]?.wantedPerS).toBeCloseTo(50, 9);
    expect(looks({ atMs: 0, stablePerS: 0, recruited: true })[0]?.wantedPerS).toBe(0);
  });

  it('is demand over the target utilisation', () => {
    expect(looks({ atMs: 0, stablePerS: 70 })[0]).toMatchObject({ wantedPerS: 100, panic: false });
  });

  it('goes by the panic window from twice what is ready, and not before', () => {
    const [below, at] = [
      looks({ atMs: 0, stablePerS: 70, panicPerS: 139 })[0],
      looks({ atMs: 0, stablePerS: 70, panicPerS: 140 })[0],
    ];
    expect(below).toMatchObject({ wantedPerS: 100, panic: false });
    expect(at?.panic).toBe(true);
    expect(at?.wantedPerS).toBeCloseTo(200, 6);
  });

  it('does not shrink in a panic, which lasts a stable window after the last sign of it', () => {
    const found = looks(
      { atMs: 0, stablePerS: 70, panicPerS: 700 },
      { atMs: 30_000, stablePerS: 70, readyPerS: 1_000 },
      { atMs: 59_999, stablePerS: 70, readyPerS: 1_000 },
      { atMs: 60_000, stablePerS: 70, readyPerS: 1_000 },
    );
    expect(found.map(({ wantedPerS }) => Math.round(wantedPerS))).toEqual([
      1_000, 1_000, 1_000, 100,
    ]);
  });

  it('keeps for a down-delay what was wanted, and for no longer', () => {
    const found = looks(
      { atMs: 0, stablePerS: 70 },
      { atMs: 100_000, stablePerS: 7 },
      { atMs: 299_999, stablePerS: 7 },
      { atMs: 300_000, stablePerS: 7 },
    );
    expect(found.map(({ keptPerS }) => Math.round(keptPerS))).toEqual([100, 100, 100, 10]);
  });

  it('lets go of the last replica after the delay of its own, however much was wanted before', () => {
    const [busy, waits, idle] = looks(
      { atMs: 0, stablePerS: 70, minReplicas: 0 },
      { atMs: 599_999, stablePerS: 0, minReplicas: 0 },
      { atMs: 600_000, stablePerS: 0, minReplicas: 0 },
    );
    expect([busy?.floor, waits?.floor, idle?.floor]).toEqual([1, 1, 0]);
    expect(idle?.keptPerS).toBe(0);
  });

  it('has nothing loaded that may scale to zero and that nobody has asked for, however new to the swarm', () => {
    const cold = { stablePerS: 0, readyPerS: 0, minReplicas: 0, have: 0 };
    const [started, asked] = looks({ ...cold, atMs: 0 }, { ...cold, atMs: 1, panicPerS: 0.1 });
    expect([started?.floor, asked?.floor]).toEqual([0, 1]);
  });

  it('expects a growing crowd to go on growing for half a panic window, by half at most', () => {
    const crowd = (atMs: number, panicPerS: number) => ({
      atMs,
      stablePerS: 7,
      panicPerS,
      readyPerS: 10,
    });
    const found = looks(crowd(0, 70), crowd(1_000, 77), crowd(2_000, 700));
    expect(found.map(({ wantedPerS }) => Math.round(wantedPerS))).toEqual([100, 140, 1_500]);
  });

  it('believes fewer than three witnesses ten times what is there, and three as much as they say', () => {
    const crowd = { atMs: 0, stablePerS: 1e5, readyPerS: 20 };
    expect(looks({ ...crowd, witnesses: 2 })[0]?.wantedPerS).toBe(200);
    expect(looks({ ...crowd, witnesses: 3 })[0]?.wantedPerS).toBeCloseTo(1e5 / 0.7, 3);
  });
});

describe('targetUtilisation', () => {
  it.each([
    [null, 50, 0.7],
    [1_000, null, 0.7],
    [1_000, 50, 0.7],
    [100, 50, 0.5],
    [50, 50, 0.1],
    [10, 50, 0.1],
  ])('with an objective of %s ms and requests of %s ms is %d', (latencyObjectiveMs, ms, share) => {
    expect(targetUtilisation({ latencyObjectiveMs }, ms, SETTINGS)).toBeCloseTo(share, 6);
  });
});
