import { describe, expect, it } from 'vitest';
import type { SwarmNode } from '../../node/index.ts';
import { echoModel } from '../support/echo-model.ts';
import { buildModel } from '../support/onnx-builder.ts';
import { FakeBackend } from '../support/fake-backend.ts';
import { startLoad } from '../support/load.ts';
import { createTestnet } from '../support/testnet.ts';

const MODEL = buildModel(echoModel({ x: { datatype: 'FP32', shape: ['n', 4] } }));

const node = () => ({
  backend: new FakeBackend({ provider: 'cpu', executeMs: 5 }),
  announceIntervalMs: 500,
  scaling: { tickMs: 100, claimSpreadMs: 100 },
});

async function handOver(leaving: SwarmNode): Promise<number[]> {
  const owed: number[] = [];
  for await (const progress of leaving.handOver()) owed.push(progress.owed.length);
  return owed;
}

describe('A node that leaves', () => {
  it('serves on until another node has what only it had, and no request fails', async () => {
    await using testnet = await createTestnet({ nodes: 0 });
    const nodes = await Promise.all([testnet.addNode(node()), testnet.addNode(node())]);
    const { publisher, cid } = await testnet.publish(MODEL, {
      name: 'only',
      replicas: 1,
      files: { 'swarm.json': JSON.stringify({ deployment: { minReplicas: 1, maxReplicas: 4 } }) },
    });
    const stateOn = (one: SwarmNode): string => one.replicas.get(cid)?.state ?? 'none';
    expect(nodes.map(stateOn).toSorted()).toEqual(['none', 'ready']);
    const [holder, other] = nodes.toSorted((a) => (stateOn(a) === 'ready' ? -1 : 1));
    if (holder === undefined || other === undefined) throw new Error('two nodes were started');

    const [client] = testnet.clients;
    if (client === undefined) throw new Error('a client was started');
    await using load = startLoad(client, `${publisher}/only`, {
      callers: 1,
      deadlineMs: 20_000,
      check: ({ 'x-out': x }, index) => x?.data[0] === index,
    });
    await expect.poll(() => load.total(), { timeout: 20_000 }).toBeGreaterThan(5);
    expect(await handOver(holder)).toEqual([1, 0]);
    expect([holder, other].map(stateOn)).toEqual(['ready', 'ready']);
    await holder.stop();
    const before = load.total();
    await expect.poll(() => load.total(), { timeout: 20_000 }).toBeGreaterThan(before + 20);
    await load.stop();
    expect([load.failures, load.wrong, load.lastNode]).toEqual([[], 0, other.id]);
  });

  it('waits for nobody when it is alone', async () => {
    await using testnet = await createTestnet({ nodes: 0, clients: 0 });
    const alone = await testnet.addNode(node());
    await testnet.publish(MODEL, { name: 'lone', replicas: 1 });
    expect(await handOver(alone)).toEqual([0]);
  });
});
