import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { findNode, type NodeStatus, type SwarmNode } from '../../node/index.ts';
import { Tensor } from '../../src/index.ts';
import { addModel } from '../support/models.ts';
import { createTestnet, type PublishModelOptions, type Testnet } from '../support/testnet.ts';

const WAIT = { timeout: 20_000, interval: 50 };
const SCALING = {
  ...{ tickMs: 100, claimSpreadMs: 100 },
  ...{ stableWindowMs: 500, panicWindowMs: 100, downDelayMs: 500 },
};

/** Gives an order over the control socket of a node's folder. */
async function order(dataDir: string, verb: string, argument?: string): Promise<NodeStatus> {
  const ask = async (request: { verb: string; argument?: string | undefined }) => {
    const control = await findNode(dataDir, AbortSignal.timeout(5_000));
    const items = [];
    for await (const item of control?.ask(request, AbortSignal.timeout(5_000)) ?? [])
      items.push(item);
    return items.at(-1);
  };
  await ask({ verb, argument });
  return (await ask({ verb: 'node.status' })) as NodeStatus;
}

/** What each node has of the only version of a model. */
function states(nodes: readonly SwarmNode[], model: string): string[] {
  return nodes.map(
    ({ replicas }) =>
      replicas.replicas.find(({ origin }) => origin.name === model)?.state ?? 'none',
  );
}

/** Publishes to two nodes, of which one refuses with a code: it was asked, and nothing is released. */
async function publishRefused(
  testnet: Testnet,
  model: Uint8Array,
  { refusal, ...options }: PublishModelOptions & { readonly refusal: readonly [SwarmNode, string] },
): Promise<void> {
  const [{ id: node }, code] = refusal;
  const signal = AbortSignal.timeout(20_000);
  await expect(testnet.publish(model, { ...options, replicas: 2, signal })).rejects.toMatchObject({
    code: 'ERR_NO_NODE',
    details: { ready: 1, wanted: 2, refusals: [{ node, code }] },
  });
}

describe('The operator of a node', () => {
  it('has it take no further versions while it is cordoned, over a restart too, and serve those it has', async () => {
    await using testnet = await createTestnet({ nodes: 2 });
    const { publisher } = await testnet.publish(addModel(), { name: 'held', replicas: 2 });
    const [cordoned, open] = testnet.nodes as [SwarmNode, SwarmNode];
    const folder = await folderOf(testnet.folder, cordoned);
    expect(await order(folder, 'node.cordon')).toMatchObject({ cordoned: true });
    await publishRefused(testnet, addModel(2), { name: 'later', refusal: [cordoned, 'ERR_BUSY'] });
    expect(states([cordoned, open], 'later')).toEqual(['none', 'ready']);
    expect(states([cordoned, open], 'held')).toEqual(['ready', 'ready']);

    await cordoned.stop();
    const again = await testnet.addNode({ dataDir: folder });
    await expect.poll(() => states([again], 'held'), WAIT).toEqual(['ready']);
    await publishRefused(testnet, addModel(3), { name: 'third', refusal: [again, 'ERR_BUSY'] });
    expect(states([again, open], 'third')).toEqual(['none', 'ready']);
    await order(folder, 'node.uncordon');
    await testnet.publish(addModel(4), { name: 'last', replicas: 2 });
    expect(states([again, open], 'last')).toEqual(['ready', 'ready']);

    const [client] = testnet.clients;
    const x = Tensor.from('FP32', [1, 4], [1, 2, 3, 4]);
    const prefer = { nodes: [again.id] };
    await expect
      .poll(async () => (await client?.infer(`${publisher}/held`, { x }, { prefer }))?.node, WAIT)
      .toBe(again.id);
  });

  it('has it give a version up that he forbids, and refuse it to whoever places it', async () => {
    await using testnet = await createTestnet({ nodes: 2 });
    const { cid } = await testnet.publish(addModel(), { name: 'unwelcome', replicas: 2 });
    const [picky, other] = testnet.nodes as [SwarmNode, SwarmNode];
    const folder = await folderOf(testnet.folder, picky);
    expect(await order(folder, 'node.forbid', cid)).toMatchObject({ forbidden: [cid] });
    await expect.poll(() => states([picky, other], 'unwelcome'), WAIT).toEqual(['none', 'ready']);
    const again = { name: 'unwelcome', refusal: [picky, 'ERR_FORBIDDEN'] as const };
    await publishRefused(testnet, addModel(), again);
    expect(states([picky, other], 'unwelcome')).toEqual(['none', 'ready']);
    await order(folder, 'node.allow', cid);
    await testnet.publish(addModel(), { name: 'unwelcome', replicas: 2 });
    expect(states([picky, other], 'unwelcome')).toEqual(['ready', 'ready']);
  });

  it('has it fetch and keep what he pins, though the swarm has enough of it', async () => {
    await using testnet = await createTestnet({ nodes: 3, node: { scaling: SCALING } });
    const { cid } = await testnet.publish(addModel(), {
      name: 'favourite',
      replicas: 2,
      files: { 'swarm.json': JSON.stringify({ deployment: { minReplicas: 1, maxReplicas: 1 } }) },
    });
    const inState = (state: string) =>
      testnet.nodes.filter((node) => states([node], 'favourite')[0] === state);
    const empty = inState('none');
    // One is enough: the last in order leaves, and would again.
    await expect
      .poll(() => [inState('cold').length, inState('ready').length], WAIT)
      .toEqual([1, 1]);
    const pinned = [...inState('cold'), ...empty];
    for (const node of pinned) {
      const folder = await folderOf(testnet.folder, node);
      expect(await order(folder, 'node.pin', cid)).toMatchObject({ pinned: [cid] });
    }
    await expect.poll(() => states(pinned, 'favourite'), WAIT).toEqual(['ready', 'ready']);
    await delay(4 * SCALING.downDelayMs);
    expect(states(pinned, 'favourite')).toEqual(['ready', 'ready']);
  });

  it('runs only what does what his list of tasks says', async () => {
    await using testnet = await createTestnet({ nodes: 1 });
    const picky = await testnet.addNode({ allowTasks: ['image-classification'] });
    const nodes = [picky, ...testnet.nodes.filter((node) => node !== picky)];
    const task = (name: string) => ({
      files: { 'swarm.json': JSON.stringify({ metadata: { task: name } }) },
    });
    const text = { name: 'text', refusal: [picky, 'ERR_FORBIDDEN'] as const, ...task('text') };
    await publishRefused(testnet, addModel(), text);
    expect(states(nodes, 'text')).toEqual(['none', 'ready']);
    const image = { name: 'image', replicas: 2, ...task('image-classification') };
    await testnet.publish(addModel(2), image);
    expect(states(nodes, 'image')).toEqual(['ready', 'ready']);
  });
});

/** The folder of a testnet that a node has. */
async function folderOf(testFolder: string, { id }: SwarmNode): Promise<string> {
  for (let index = 1; index < 10; index += 1) {
    const folder = `${testFolder}/node-${index}`;
    const control = await findNode(folder, AbortSignal.timeout(5_000));
    for await (const item of control?.ask({ verb: 'node.status' }, AbortSignal.timeout(5_000)) ??
      []) {
      if ((item as NodeStatus).node === id) return folder;
    }
  }
  throw new Error(`no node ${id} in ${testFolder}`);
}
