import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { VersionStore } from '../../node/store/version-store.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { seededRandom } from '../../src/sim/random.ts';
import { lookupModel } from '../support/models.ts';
import { noise } from '../support/noise.ts';
import { ProcessSwarm } from '../support/process-swarm.ts';
import { runSwarm } from '../support/swarm-command.ts';

const MODEL_BYTES = 64 * 1024 * 1024;

const MAX_KILLS = 8;

/** Milliseconds after which a node that fetches is killed at the latest: a fetch takes four seconds at the limit of its source. */
const MAX_LIFE_MS = 900;

/** Opens what a kill left, and hashes all that counts as complete. */
async function expectSound(folder: string, cid: VersionCid): Promise<'whole' | 'part'> {
  const store = await VersionStore.open(path.join(folder, 'store'));
  try {
    for await (const { faults } of store.upkeep.verify()) expect(faults).toEqual([]);
    return (await store.get(cid)) === undefined ? 'part' : 'whole';
  } finally {
    await store.close();
  }
}

describe('A node that is killed while it fetches', () => {
  it('never leaves a store that does not verify, and ends with the whole version', async () => {
    const seed = Number(process.env['SWARM_TEST_SEED'] ?? Date.now() % 1_000_000);
    console.log(`SWARM_TEST_SEED=${seed}`);
    const random = seededRandom(seed);
    await using swarm = await ProcessSwarm.create();
    await swarm.startNode('source', '--upload-limit', '16MiB');
    const files = {
      'model.onnx': lookupModel(MODEL_BYTES / 4096),
      'weights.bin': noise(MODEL_BYTES, seed | 1),
    };
    const { version } = await swarm.publish('lookup', files);
    const sink = path.join(swarm.folder, 'sink');
    let node = await swarm.startNode('sink');
    const asked = swarm.run([
      ...['publish', path.join(swarm.folder, 'model-lookup'), '--name', 'lookup'],
      ...['--data', path.join(swarm.folder, 'publisher'), '--replicas', '2', '--json'],
    ]);
    await expect
      .poll(() => existsSync(path.join(sink, 'store', 'partial', version)), { timeout: 20_000 })
      .toBe(true);
    let kills = 0;
    let left: 'whole' | 'part' = 'part';
    while (kills < MAX_KILLS && left === 'part') {
      await delay(random() * MAX_LIFE_MS);
      await node.kill();
      await asked;
      kills += 1;
      left = await expectSound(sink, version as VersionCid);
      node = await swarm.startNode('sink');
    }
    console.log(`killed ${kills} times, then the version was there in ${left}`);
    expect(kills).toBeGreaterThan(1);
    await expect
      .poll(async () => (await runSwarm(['store', 'ls', '--data', sink, '--json'])).events, {
        timeout: 60_000,
        interval: 500,
      })
      .toMatchObject([{ cid: version, state: 'whole', wanted: true, inUse: true }]);
    await node.stop();
    const verified = await runSwarm(['store', 'verify', '--data', sink, '--json']);
    expect(verified).toMatchObject({ code: 0, events: [{ cid: version, faults: [] }] });
    expect(await expectSound(sink, version as VersionCid)).toBe('whole');
  });
});
