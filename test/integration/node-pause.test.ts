import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { findNode, type NodeStatus, type SwarmNode } from '../../node/index.ts';
import { Tensor } from '../../src/index.ts';
import { addModel, loopModel } from '../support/models.ts';
import { present } from '../support/present.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

const WAIT = { timeout: 20_000, interval: 20 };
const forever = new AbortController().signal;
const x = Tensor.from('FP32', [1, 4], [1, 2, 3, 4]);

async function ask(dataDir: string, verb: string): Promise<NodeStatus> {
  const control = present(await findNode(dataDir, forever));
  let status: unknown;
  for await (const item of control.ask({ verb }, forever)) status = item;
  return status as NodeStatus;
}

describe('A node that its owner pauses', () => {
  let testnet: Testnet;
  let node: SwarmNode;
  let dataDir: string;
  beforeAll(async () => {
    testnet = await createTestnet({ nodes: 0, clients: 1 });
    dataDir = `${testnet.folder}/paused-node`;
    node = await testnet.addNode({ dataDir });
  });
  afterAll(() => testnet[Symbol.asyncDispose]());

  it('finishes what runs, refuses what comes, says so to the swarm, and gives memory back', async () => {
    const client = present(testnet.clients[0]);
    const { publisher, cid } = await testnet.publish(loopModel(), { name: 'loop' });
    const trips = (count: bigint) => ({ trips: Tensor.from('INT64', [], [count]) });
    const running = client.infer(`${publisher}/loop`, trips(1_000_000n));
    await vi.waitFor(() => expect(node.replicas.get(cid)?.queue?.load().inFlight).toBe(1), WAIT);
    const paused = await ask(dataDir, 'node.pause');
    expect(paused).toMatchObject({ paused: 'its owner paused it', versions: [{ state: 'cold' }] });
    const refused = client.infer(`${publisher}/loop`, trips(1n), { deadlineMs: 1_000 });
    await expect(refused).rejects.toThrow(/paused|READY/);
    expect((await running).outputs['n']?.toArray()).toEqual([1_000_000n]);
    await vi.waitFor(
      async () => expect((await ask(dataDir, 'node.status')).memory[0]?.usedBytes).toBe(0),
      WAIT,
    );
    await expect(testnet.publish(addModel(1), { name: 'add' })).rejects.toThrow('no node is known');
  });

  it('stays paused over a restart, and serves again when it is resumed', async () => {
    await node.stop();
    node = await testnet.addNode({ dataDir });
    await vi.waitFor(
      async () =>
        expect(await ask(dataDir, 'node.status')).toMatchObject({
          paused: 'its owner paused it',
          versions: [{ name: 'loop', state: 'cold' }],
        }),
      WAIT,
    );
    expect((await ask(dataDir, 'node.resume')).paused).toBeNull();
    await vi.waitFor(
      async () =>
        expect(await ask(dataDir, 'node.status')).toMatchObject({ versions: [{ state: 'ready' }] }),
      WAIT,
    );
    const { publisher } = await testnet.publish(addModel(2), { name: 'add' });
    const client = present(testnet.clients[0]);
    const answer = await client.infer(`${publisher}/add`, { x });
    expect(answer.outputs['sum']?.toArray()).toEqual([3, 4, 5, 6]);
  });
});
