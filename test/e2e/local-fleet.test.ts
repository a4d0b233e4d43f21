import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { VersionCid } from '../../protocols/types.ts';
import { keepFleet } from '../../src/cli/up/local-fleet.ts';
import { LocalSwarm } from '../../src/cli/up/local-swarm.ts';
import { createClient, Tensor } from '../../src/index.ts';
import { startLoad } from '../support/load.ts';
import { loopModel } from '../support/models.ts';
import { ownEnvironment } from '../support/own-environment.ts';
import { runSwarm } from '../support/swarm-command.ts';

const NETWORK = 'test-local-fleet';
const MAX_NODES = 3;

/** A tenth of what is usual. */
const SCALING = {
  stableWindowMs: 6_000,
  panicWindowMs: 1_500,
  tickMs: 500,
  upDelayMs: 1_000,
  downDelayMs: 4_000,
};

/** Rounds of the loop: some tens of milliseconds, on a core that all nodes share. */
const TRIPS = 60_000n;

const SLOWLY = { timeout: 100_000, interval: 200 };

async function publish(
  swarm: LocalSwarm,
): Promise<{ readonly reference: string; readonly cid: VersionCid }> {
  const folder = path.join(swarm.folder, 'model');
  await mkdir(folder);
  await writeFile(path.join(folder, 'model.onnx'), loopModel());
  const deployment = { minReplicas: 1, maxReplicas: MAX_NODES, maxBatch: 1 };
  await writeFile(path.join(folder, 'swarm.json'), JSON.stringify({ deployment }));
  const join = ['--network', NETWORK, '--bootstrap', swarm.bootstrapAddress];
  const published = await runSwarm(
    ['publish', folder, '--name', 'loop', '--key', swarm.keyFile, '--json', ...join],
    { cwd: swarm.folder },
  );
  expect(published, published.stderr).toMatchObject({ code: 0 });
  const { publisher, version } = published.events.at(-1) as { publisher: string; version: string };
  return { reference: `${publisher}/loop`, cid: version as VersionCid };
}

describe.skipIf(process.platform === 'win32')('A local swarm with --max-nodes', () => {
  it('starts nodes when the last one has no room for what is asked, and stops them when the crowd has gone, with no request failed', async () => {
    await using swarm = await LocalSwarm.create({
      ...{ nodes: 1, network: NETWORK, data: undefined, allowPublishers: [], threads: 1 },
      nodeArgs: [
        ...[`--stable-window=${SCALING.stableWindowMs}`, `--panic-window=${SCALING.panicWindowMs}`],
        ...[`--scaling-tick=${SCALING.tickMs}`, `--up-delay=${SCALING.upDelayMs}`],
        `--down-delay=${SCALING.downDelayMs}`,
      ],
      env: ownEnvironment(),
      onReady: () => {},
      onLost: (name, why) => expect.fail(`${name} ended by itself: ${why}`),
    });
    const ending = new AbortController();
    await swarm.startBootstrap(ending.signal);
    await swarm.startNodes(ending.signal);
    const { reference, cid } = await publish(swarm);
    const changes: string[] = [];
    const fleet = keepFleet(
      swarm,
      {
        ...{ min: 1, max: MAX_NODES, scaling: SCALING, coolDownMs: 4_000 },
        onChange: ({ present, wanted }) => changes.push(`${present} → ${wanted}`),
      },
      ending.signal,
    );
    try {
      await using client = await createClient({
        network: NETWORK,
        bootstrap: [swarm.bootstrapAddress],
      });
      await using crowd = startLoad(client, reference, {
        inputs: () => ({ trips: Tensor.from('INT64', [], [TRIPS]) }),
        check: ({ n }) => n?.data[0] === TRIPS,
      });
      await expect.poll(() => swarm.nodes.length, SLOWLY).toBeGreaterThan(1);
      expect(swarm.nodes.length).toBeLessThanOrEqual(MAX_NODES);
      await expect.poll(() => client.ready(cid).length, SLOWLY).toBeGreaterThan(1);
      await crowd.stop();
      expect([crowd.failures, crowd.wrong]).toEqual([[], 0]);
      await expect.poll(() => swarm.nodes.length, SLOWLY).toBe(1);
      console.info(`nodes: ${changes.join(', ')}`);
    } finally {
      ending.abort();
      await fleet;
    }
  });
});
