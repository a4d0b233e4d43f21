import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SwarmNode } from '../../node/index.ts';
import { digestOfCid, digestText } from '../../protocols/digest.ts';
import type { BlockSource } from '../../protocols/transfer/index.ts';
import { publishVersion } from '../../src/client/publisher.ts';
import { Tensor } from '../../src/index.ts';
import { packModel } from '../../src/model/package.ts';
import { addModel } from '../support/models.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

describe('A published model', () => {
  let testnet: Testnet;
  let reference = '';
  /** The node that does not hold it. */
  let bystander: SwarmNode | undefined;
  const input = Tensor.from('FP32', [1, 4], [1, 2, 3, 4]);

  beforeAll(async () => {
    testnet = await createTestnet({ nodes: 3, clients: 1 });
    const { publisher, replicas } = await testnet.publish(addModel(1), { name: 'adder' });
    reference = `${publisher}/adder`;
    bystander = testnet.nodes.find(({ id }) => !replicas.includes(id));
  });
  afterAll(() => testnet[Symbol.asyncDispose]());

  it('is READY on its minimum of two replicas when publishing returns', async () => {
    const { replicas, cid, sequence } = await testnet.publish(addModel(7), { name: 'second' });
    expect(sequence).toBe(1);
    expect(new Set(replicas).size).toBe(2);
    const [client] = testnet.clients;
    await client?.resolve(`${testnet.nodes[0] ? reference.split('/')[0] : ''}/second`);
    expect(client?.ready(cid)).toHaveLength(2);
  });

  it('is refused by its manifest alone where its execution providers are missing, by one node after the other', async () => {
    const folder = path.join(testnet.folder, 'picky');
    await mkdir(folder);
    await writeFile(path.join(folder, 'model.onnx'), addModel(9));
    const deployment = { providers: ['dml', 'coreml'] };
    await writeFile(path.join(folder, 'swarm.json'), JSON.stringify({ deployment }));
    await using version = await packModel(folder);
    const asked = new Set<string>();
    const source: BlockSource = {
      read: (digest, options) => {
        asked.add(digestText(digest));
        return version.source.read(digest, options);
      },
    };
    const publishing = publishVersion(
      await testnet.addPeer(),
      { ...version, source },
      {
        name: 'picky',
        key: testnet.publisherKey,
        replicas: 1,
        signal: AbortSignal.timeout(30_000),
      },
    );
    await expect(publishing).rejects.toMatchObject({
      code: 'ERR_NO_NODE',
      details: {
        ready: 0,
        refusals: testnet.nodes.map(() => ({
          node: expect.any(String),
          code: 'ERR_INVALID_MODEL',
          message: 'version runs on dml, coreml only, this node has cpu',
        })),
      },
    });
    expect([...asked]).toEqual([digestText(digestOfCid(version.cid))]);
  });

  it('is answered by a node after its publisher has gone', async () => {
    const [client] = testnet.clients;
    const result = await client?.infer(reference, { x: input });
    expect(result?.outputs['sum']?.toArray()).toEqual([2, 3, 4, 5]);
    expect(testnet.nodes.map(({ id }) => id)).toContain(result?.node);
    expect(result?.sequence).toBe(1);
    expect(result?.failedAttempts).toEqual([]);
  });

  it.each(['full', 'light'] as const)(
    'is found by a %s client that has just come',
    async (mode) => {
      const client = await testnet.addClient({ mode });
      const { outputs, version } = await client.infer(reference, { x: input });
      expect(outputs['sum']?.toArray()).toEqual([2, 3, 4, 5]);
      expect(await client.infer(`${reference}@${version}`, { x: input })).toMatchObject({
        version,
      });
    },
  );

  it('is found through a node alone that does not hold it, without any bootstrap server', async () => {
    const client = await testnet.addClient({ bootstrap: bystander?.addresses ?? [] });
    const { outputs } = await client.infer(reference, { x: input });
    expect(outputs['sum']?.toArray()).toEqual([2, 3, 4, 5]);
  });

  it('moves with its channel, while its CID names the older version for good', async () => {
    const first = await testnet.publish(addModel(10), { name: 'moving' });
    const second = await testnet.publish(addModel(20), { name: 'moving' });
    expect([first.sequence, second.sequence]).toEqual([1, 2]);
    const client = await testnet.addClient();
    const moving = `${first.publisher}/moving`;
    const newest = await client.infer(moving, { x: input });
    expect(newest.outputs['sum']?.toArray()).toEqual([21, 22, 23, 24]);
    const older = await client.infer(`${moving}@${first.cid}`, { x: input });
    expect(older.outputs['sum']?.toArray()).toEqual([11, 12, 13, 14]);
  });

  it('reaches a client in use within the time a resolution lives', async () => {
    const client = await testnet.addClient();
    const { publisher } = await testnet.publish(addModel(1), { name: 'watched' });
    const ask = async () =>
      (await client.infer(`${publisher}/watched`, { x: input })).outputs['sum']?.toArray();
    expect(await ask()).toEqual([2, 3, 4, 5]);
    await testnet.publish(addModel(2), { name: 'watched' });
    await expect.poll(ask, { timeout: 10_000 }).toEqual([3, 4, 5, 6]);
  });

  it('shows its manifest, read from a node and checked against its CID', async () => {
    const [client] = testnet.clients;
    const manifest = await client?.manifest(reference);
    expect(manifest?.inputs).toEqual([{ name: 'x', datatype: 'FP32', shape: ['batch', 4] }]);
    expect(manifest?.outputs).toEqual([{ name: 'sum', datatype: 'FP32', shape: ['batch', 4] }]);
    expect(manifest?.files.map(({ path }) => path)).toEqual(['model.onnx']);
  });

  it('carries bodies far larger than what may be sent unasked', async () => {
    const [client] = testnet.clients;
    const rows = 300_000;
    const big = Tensor.from('FP32', [rows, 4], new Float32Array(rows * 4).fill(2));
    const { outputs } = (await client?.infer(reference, { x: big })) ?? {};
    expect(outputs?.['sum']?.shape).toEqual([rows, 4]);
    expect(outputs?.['sum']?.data.every((value) => value === 3)).toBe(true);
  });

  it('answers many requests at once, spread over its replicas', async () => {
    const client = await testnet.addClient();
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        client.infer(reference, { x: Tensor.from('FP32', [1, 4], [index, 0, 0, 0]) }),
      ),
    );
    answers.forEach((answer, index) => {
      expect(answer.outputs['sum']?.data[0], `request ${index}`).toBe(index + 1);
    });
    expect(new Set(answers.map((answer) => answer.node)).size).toBe(2);
  });
});
