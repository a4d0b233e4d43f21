import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { findNode, type SwarmNode } from '../../node/index.ts';
import { sha256 } from '../../protocols/digest.ts';
import { Tensor } from '../../protocols/tensor.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { addModel } from '../support/models.ts';
import { present } from '../support/present.ts';
import { createTestnet } from '../support/testnet.ts';

const ONE = Buffer.from(Float32Array.of(1).buffer);
const TWO = Buffer.from(Float32Array.of(2).buffer);

/** What the owner of a node is told by `swarm store verify`. */
async function verify(dataDir: string): Promise<unknown[]> {
  const signal = AbortSignal.timeout(30_000);
  const node = present(await findNode(dataDir, signal));
  const items: unknown[] = [];
  for await (const item of node.ask({ verb: 'store.verify' }, signal)) items.push(item);
  return items;
}

/** What a node itself makes of zeros, whatever others would. */
async function answer(node: SwarmNode, cid: VersionCid): Promise<unknown> {
  const model = present(node.replicas.get(cid)?.model);
  const tensor = Tensor.from('FP32', [1, 4], [0, 0, 0, 0]);
  const { outputs } = await model.run([{ name: 'x', tensor }], { limitMs: 10_000 });
  return outputs[0]?.tensor.toArray();
}

/** A swarm with a node whose folder is known, beside some others; all hold a model that adds one. */
async function start(others: number) {
  const testnet = await createTestnet({ nodes: others, clients: 1 });
  const dataDir = path.join(testnet.folder, 'owned');
  const node = await testnet.addNode({ dataDir });
  const replicas = others + 1;
  const { cid, publisher } = await testnet.publish(addModel(1), { name: 'adder', replicas });
  const file = path.join(dataDir, 'store', 'versions', cid, 'model.onnx');
  return { testnet, dataDir, node, cid, publisher, file };
}

it('store.verify of a node that runs fetches a file that is gone, and the version is served on', async () => {
  const { testnet, dataDir, node, cid, publisher, file } = await start(1);
  await using _ = testnet;
  const before = await readFile(file);
  await rm(file);
  expect(await verify(dataDir)).toEqual([
    expect.objectContaining({ cid, faults: ["file 'model.onnx' is missing"] }),
    { cid, repair: 'done', fetchedBytes: before.byteLength, reloaded: true },
  ]);
  expect(sha256(await readFile(file))).toEqual(sha256(before));
  expect(node.replicas.get(cid)?.state).toBe('ready');
  expect(await answer(node, cid)).toEqual([1, 1, 1, 1]);
  const [client] = testnet.clients;
  const x = Tensor.from('FP32', [1, 4], [1, 2, 3, 4]);
  const { outputs } = await present(client).infer(`${publisher}/adder`, { x });
  expect(outputs['sum']?.toArray()).toEqual([2, 3, 4, 5]);
});

it('store.verify of a node that loaded flipped bytes loads the right ones', async () => {
  const { testnet, dataDir, node: before, cid, file } = await start(1);
  await using _ = testnet;
  await before.stop();
  const bytes = await readFile(file);
  bytes.set(TWO, bytes.indexOf(ONE));
  await writeFile(file, bytes);
  const node = await testnet.addNode({ dataDir });
  await expect.poll(() => node.replicas.get(cid)?.state, { timeout: 20_000 }).toBe('ready');
  expect(await answer(node, cid)).toEqual([2, 2, 2, 2]);

  const [damaged, repaired, ...rest] = await verify(dataDir);
  expect(damaged).toMatchObject({ faults: [expect.stringContaining('hashes to')] });
  expect(repaired).toMatchObject({ cid, repair: 'done', reloaded: true });
  expect(rest).toEqual([]);
  expect(await answer(node, cid)).toEqual([1, 1, 1, 1]);
  expect(await verify(dataDir)).toMatchObject([{ cid, faults: [] }]);
});

it('store.verify says why a version cannot be repaired when nobody else has it', async () => {
  const { testnet, dataDir, node, cid, file } = await start(0);
  await using _ = testnet;
  await rm(file);
  const reason = `no other peer that can be reached has all of version ${cid}`;
  for (const repaired of [true, false]) {
    expect(await verify(dataDir)).toEqual([
      expect.objectContaining({ cid, faults: ["file 'model.onnx' is missing"], repaired }),
      { cid, repair: 'failed', reason },
    ]);
  }
  expect(await answer(node, cid)).toEqual([1, 1, 1, 1]);
});
