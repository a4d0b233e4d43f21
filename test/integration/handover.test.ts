import { describe, expect, it } from 'vitest';
import type { SwarmNode } from '../../node/index.ts';
import { echoModel } from '../support/echo-model.ts';
import { buildModel } from '../support/onnx-builder.ts';
import { FakeBackend } from '../support/fake-backend.ts';
import { Tensor } from '../../src/index.ts';
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
    const x = Tensor.from('FP32', [1, 4], [1, 2, 3, 4]);
    const ended = new AbortController();
    const answeredBy: string[] = [];
    const asking = (async () => {
      while (!ended.signal.aborted) {
        const answer = await client?.infer(`${publisher}/only`, { x }, { deadlineMs: 20_000 });
        answeredBy.push(answer?.node ?? '');
      }
    })();
    await expect.poll(() => answeredBy.length, { timeout: 20_000 }).toBeGreaterThan(5);
    expect(await handOver(holder)).toEqual([1, 0]);
    expect([holder, other].map(stateOn)).toEqual(['ready', 'ready']);
    await holder.stop();
    const before = answeredBy.length;
    await expect.poll(() => answeredBy.length, { timeout: 20_000 }).toBeGreaterThan(before + 20);
    ended.abort();
    await asking;
    expect(answeredBy.at(-1)).toBe(other.id);
  });

  it('waits for nobody when it is alone', async () => {
    await using testnet = await createTestnet({ nodes: 0, clients: 0 });
    const alone = await testnet.addNode(node());
    await testnet.publish(MODEL, { name: 'lone', replicas: 1 });
    expect(await handOver(alone)).toEqual([0]);
  });
});
