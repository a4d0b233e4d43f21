import { rm } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { VersionStore } from '../../node/store/version-store.ts';
import { Tensor } from '../../src/index.ts';
import { addModel } from '../support/models.ts';
import { createTestnet } from '../support/testnet.ts';

const row = Tensor.from('FP32', [1, 4], [1, 2, 3, 4]);

describe('A node that holds a model', () => {
  it('keeps its release when publisher, bootstrap server and all DHT records are gone', async () => {
    await using testnet = await createTestnet({ nodes: 1, clients: 1 });
    const { publisher, cid } = await testnet.publish(addModel(), { name: 'kept' });
    const [node] = testnet.nodes;
    const [client] = testnet.clients;
    // An answer tells the newest sequence that the node knows: from then on it is on its disk.
    const known = async () => (await client?.infer(`${publisher}/kept`, { x: row }))?.sequence;
    await expect.poll(known, { timeout: 15_000 }).toBe(1);
    const dataDir = path.join(testnet.folder, 'node-2');
    await expect
      .poll(
        async () => {
          await node?.stop();
          const store = await VersionStore.open(path.join(dataDir, 'store'));
          const [wanted] = await store.wanted();
          await store.close();
          return wanted?.release?.byteLength;
        },
        { timeout: 15_000 },
      )
      .toBeGreaterThan(100);
    await Promise.all(testnet.bootstraps.map((server) => server.stop()));
    await rm(path.join(dataDir, 'records'), { recursive: true });

    const again = await testnet.addNode({ dataDir, bootstrap: [] });
    const late = await testnet.addClient({ bootstrap: again.addresses });
    const served = async () =>
      late.infer(`${publisher}/kept`, { x: row }).then(
        ({ version, sequence }) => ({ version, sequence }),
        () => undefined,
      );
    await expect.poll(served, { timeout: 20_000 }).toEqual({ version: cid, sequence: 1 });
  });

  it('does not load what its owner serves no more', async () => {
    await using testnet = await createTestnet({ nodes: 1, clients: 0 });
    const { cid } = await testnet.publish(addModel(), { name: 'dropped' });
    await testnet.nodes[0]?.stop();
    const again = await testnet.addNode({
      dataDir: path.join(testnet.folder, 'node-2'),
      allowPublishers: [],
    });
    expect(again.replicas.get(cid)).toBeUndefined();
  });
});
