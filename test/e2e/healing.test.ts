import { describe, expect, it } from 'vitest';
import type { VersionCid } from '../../protocols/types.ts';
import { createClient } from '../../src/index.ts';
import { startLoad } from '../support/load.ts';
import { addModel } from '../support/models.ts';
import { ProcessSwarm } from '../support/process-swarm.ts';

/** Long enough for a lease to explain nothing. */
const ANNOUNCE_INTERVAL = ['--announce-interval', '30000'];

describe.skipIf(process.platform === 'win32')('A version that lost a holder', () => {
  it('has as many replicas again within seconds, on a node that never held it, and no request failed', async () => {
    await using swarm = await ProcessSwarm.create();
    const nodes = await Promise.all(
      ['a', 'b', 'c'].map((name) => swarm.startNode(name, ...ANNOUNCE_INTERVAL, '--scaling', 'on')),
    );
    const { reference, version, replicas } = await swarm.publish(
      'adder',
      { 'model.onnx': addModel() },
      [...['--replicas', '2']],
    );
    expect(replicas).toHaveLength(2);
    const victim = nodes.find(({ id }) => id === replicas[0]);
    const spare = nodes.find(({ id }) => !replicas.includes(id));
    if (victim === undefined || spare === undefined) throw new Error('three nodes were started');
    await using client = await createClient({ bootstrap: [swarm.bootstrap.address] });
    const load = startLoad(client, reference);
    await expect.poll(() => load.total(), { timeout: 30_000 }).toBeGreaterThan(50);
    const readyOn = (): string[] =>
      client.ready(version as VersionCid).map(({ node }) => node.announcement.node);

    const startedAtMs = performance.now();
    await victim.kill();
    await expect.poll(readyOn, { timeout: 30_000, interval: 50 }).toContain(spare.id);
    console.info(`READY on the spare node after ${Math.round(performance.now() - startedAtMs)} ms`);
    expect(readyOn()).not.toContain(victim.id);
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(load.wrong).toBe(0);
  });
});
