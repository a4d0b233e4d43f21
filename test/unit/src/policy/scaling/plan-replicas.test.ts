import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { resolveDeployment } from '../../../../../protocols/manifest/index.ts';
import type { OwnerId } from '../../../../../protocols/types.ts';
import { ScalingSwarm, type SwarmVersion, swarmNode } from '../../../../support/scaling-swarm.ts';

const GIB = 1024 ** 3;

/** Short windows: a story of minutes in seconds. */
const SHORT = {
  stableWindowMs: 6_000,
  panicWindowMs: 1_200,
  tickMs: 500,
  upDelayMs: 1_000,
  downDelayMs: 15_000,
  claimSpreadMs: 500,
  recruitIntervalMs: 2_000,
};

function version(name: string, fields: Partial<SwarmVersion> = {}): SwarmVersion {
  return {
    name,
    deployment: resolveDeployment({ minReplicas: 1, maxReplicas: 16 }),
    memoryBytes: GIB,
    fileBytes: GIB,
    requestsPerS: 20,
    loadMs: 300,
    fetchMs: 500,
    askedPerS: 0,
    ...fields,
  };
}

interface Shape {
  readonly nodes: number;
  readonly speeds: readonly number[];
  readonly memoryGib: number;
}

function swarmOf({ nodes, speeds, memoryGib }: Shape, seed: number): ScalingSwarm {
  const swarm = new ScalingSwarm(SHORT, seed);
  for (let index = 0; index < nodes; index += 1) {
    swarm.nodes.push(
      swarmNode(`node-${index}`, {
        memoryBytes: memoryGib * GIB,
        speed: speeds[index % speeds.length] ?? 1,
        owner: `owner-${index % 4}` as OwnerId,
      }),
    );
  }
  return swarm;
}

const shape = fc.record({
  nodes: fc.integer({ min: 4, max: 15 }),
  speeds: fc.array(fc.double({ min: 0.3, max: 8, noNaN: true }), { minLength: 1, maxLength: 5 }),
  memoryGib: fc.integer({ min: 1, max: 3 }),
});

describe('planReplicas', () => {
  it('gives each version what its steady demand asks for, or says what cannot be placed', () => {
    fc.assert(
      fc.property(shape, fc.integer({ min: 1, max: 400 }), fc.nat(), (init, askedPerS, seed) => {
        const swarm = swarmOf(init, seed);
        swarm.versions.push(version('hot', { askedPerS }));
        swarm.place('hot', 'node-0', 'ready');
        swarm.run(40_000);
        const ready = swarm.holders('hot', 'ready');
        const canPerS = ready.reduce((sum, node) => sum + 20 * (node.fields.speed ?? 1), 0);
        const plan = swarm.node('node-0').plan?.versions[0];
        const exhausted = ready.length === Math.min(init.nodes, 16);
        if (!exhausted) expect(canPerS).toBeGreaterThanOrEqual(askedPerS);
        if (ready.length === init.nodes && canPerS < askedPerS) {
          expect(plan?.unplaceable?.count ?? 0).toBeGreaterThan(0);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('never goes below the minimum or above the maximum while nodes are well, whatever demand does', () => {
    const levels = fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 2, maxLength: 5 });
    fc.assert(
      fc.property(shape, levels, fc.nat(), (init, demands, seed) => {
        const swarm = swarmOf(init, seed);
        const deployment = resolveDeployment({ minReplicas: 2, maxReplicas: 5 });
        swarm.versions.push(version('hot', { deployment }));
        swarm.place('hot', 'node-0', 'ready');
        swarm.place('hot', 'node-1', 'ready');
        for (const askedPerS of demands) {
          swarm.version('hot').askedPerS = askedPerS;
          for (let second = 0; second < 20; second += 1) {
            swarm.run(1_000);
            expect(swarm.holders('hot', 'ready').length).toBeGreaterThanOrEqual(2);
            const all =
              swarm.holders('hot', 'ready').length + swarm.holders('hot', 'loading').length;
            expect(all).toBeLessThanOrEqual(5);
          }
        }
      }),
      { numRuns: 20 },
    );
  });

  it('has what is fetched for later take no place of what is lacking now', () => {
    const swarm = swarmOf({ nodes: 2, speeds: [1], memoryGib: 2 }, 1);
    const deployment = resolveDeployment({ minReplicas: 2 });
    swarm.versions.push(version('hot', { deployment }));
    swarm.place('hot', 'node-0', 'ready');
    swarm.node('node-1').prefetching = 1;
    swarm.run(5_000);
    expect(swarm.holders('hot', 'ready').map(({ name }) => name)).toEqual(['node-0', 'node-1']);
  });

  it('fetches one version ahead of need at a time', () => {
    const swarm = swarmOf({ nodes: 2, speeds: [1], memoryGib: 2 }, 1);
    swarm.versions.push(version('hot', { askedPerS: 12.5 }));
    swarm.place('hot', 'node-0', 'ready');
    swarm.node('node-1').prefetching = 1;
    swarm.run(20_000);
    expect(swarm.holders('hot', 'cold')).toEqual([]);
    swarm.node('node-1').prefetching = 0;
    swarm.run(10_000);
    expect(swarm.holders('hot', 'cold').map(({ name }) => name)).toEqual(['node-1']);
  });

  it('settles: at steady demand nobody is called on any more, and who leaves is not called back', () => {
    fc.assert(
      fc.property(shape, fc.integer({ min: 1, max: 200 }), fc.nat(), (init, askedPerS, seed) => {
        const swarm = swarmOf({ ...init, memoryGib: 3 }, seed);
        swarm.versions.push(version('hot', { askedPerS }));
        swarm.versions.push(version('warm', { askedPerS: askedPerS / 4 }));
        swarm.place('hot', 'node-0', 'ready');
        swarm.place('warm', 'node-1', 'ready');
        swarm.run(60_000);
        const from = swarm.events.length;
        swarm.run(30_000);
        const late = swarm.events.slice(from);
        // One that is at the edge of being enough may leave at any time, for good: of what leaves there is an end.
        const called = late.filter(
          ({ action: { kind } }) => kind !== 'prefetch' && kind !== 'leave',
        );
        expect(called).toEqual([]);
      }),
      {
        numRuns: 20,
        // One of the fast nodes left again and again: without it the others count for less.
        examples: [
          [{ nodes: 9, speeds: [1.13, 0.35, 7, 1.9], memoryGib: 3 }, 118, 2059079384],
          [
            { nodes: 8, speeds: [2.505792227021388, 0.317486288966938], memoryGib: 3 },
            60,
            624768230,
          ],
        ],
      },
    );
  });

  it('never takes from a node what its operator pinned, and never gives it what he forbids', () => {
    fc.assert(
      fc.property(shape, fc.nat(), (init, seed) => {
        const swarm = swarmOf(init, seed);
        swarm.versions.push(version('hot', { askedPerS: 100 }));
        swarm.place('hot', 'node-0', 'ready');
        swarm.place('hot', 'node-1', 'ready');
        const [forbidden, pinned] = [swarm.node('node-2'), swarm.node('node-1')];
        const [cid] = (swarm.run(600), swarm.node('node-0').plan?.versions ?? []);
        if (cid === undefined) expect.fail('no plan was made');
        forbidden.refused.add(cid.cid);
        pinned.pinned.add(cid.cid);
        swarm.run(20_000);
        swarm.version('hot').askedPerS = 0;
        swarm.run(40_000);
        expect(pinned.replicas.get('hot')?.state).toBe('ready');
        const given = swarm.events.filter(({ atMs, node }) => node === 'node-2' && atMs > 600);
        const taken = new Set(['leave', 'forget']);
        expect(given.filter(({ action }) => !taken.has(action.kind))).toEqual([]);
        expect(forbidden.replicas.get('hot')?.state ?? 'gone').toMatch(/^(gone|cold)$/);
      }),
      { numRuns: 20 },
    );
  });

  it('moves little for a liar among twenty: replicas stay within a tenth, and are as many as before when it is over', () => {
    for (const exaggeration of [0, 10, 1_000]) {
      const swarm = swarmOf({ nodes: 40, speeds: [1], memoryGib: 1 }, 3);
      const deployment = resolveDeployment({ minReplicas: 1, maxReplicas: 40 });
      swarm.versions.push(version('hot', { deployment, askedPerS: 280 }));
      for (let index = 0; index < 20; index += 1) swarm.place('hot', `node-${index}`, 'ready');
      swarm.run(30_000);
      const honest = swarm.holders('hot', 'ready').length;
      swarm.node('node-0').exaggeration = exaggeration;
      swarm.run(60_000);
      const found = swarm.holders('hot', 'ready').length;
      expect(Math.abs(found - honest) / honest).toBeLessThanOrEqual(0.1);
      swarm.node('node-0').exaggeration = 1;
      swarm.run(60_000);
      expect(swarm.holders('hot', 'ready')).toHaveLength(honest);
    }
  });
});
