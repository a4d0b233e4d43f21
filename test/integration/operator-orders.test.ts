import { describe, expect, it } from 'vitest';
import { findNode, type NodeStatus, type SwarmNode } from '../../node/index.ts';
import { Tensor } from '../../src/index.ts';
import { addModel } from '../support/models.ts';
import { createTestnet } from '../support/testnet.ts';

const WAIT = { timeout: 20_000, interval: 50 };
const SCALING = { tickMs: 100, claimSpreadMs: 100 };

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

function states(nodes: readonly SwarmNode[], cid: string): string[] {
  return nodes.map(
    ({ replicas }) => replicas.replicas.find(({ origin }) => origin.cid === cid)?.state ?? 'none',
  );
}

describe('The operator of a node', () => {
  it('has it take no further versions while it is cordoned, over a restart too, and serve those it has', async () => {
    await using testnet = await createTestnet({ nodes: 2 });
    const { publisher, cid } = await testnet.publish(addModel(), { name: 'held', replicas: 2 });
    const [cordoned, open] = testnet.nodes as [SwarmNode, SwarmNode];
    const folder = await folderOf(testnet.folder, cordoned);
    expect(await order(folder, 'node.cordon')).toMatchObject({ cordoned: true });
    const later = await testnet.publish(addModel(2), { name: 'later', replicas: 1 });
    expect(states([cordoned, open], later.cid)).toEqual(['none', 'ready']);
    expect(states([cordoned, open], cid)).toEqual(['ready', 'ready']);

    await cordoned.stop();
    const again = await testnet.addNode({ dataDir: folder });
    await expect.poll(() => states([again], cid), WAIT).toEqual(['ready']);
    const third = await testnet.publish(addModel(3), { name: 'third', replicas: 1 });
    expect(states([again, open], third.cid)).toEqual(['none', 'ready']);
    await order(folder, 'node.uncordon');
    const last = await testnet.publish(addModel(4), { name: 'last', replicas: 2 });
    expect(states([again, open], last.cid)).toEqual(['ready', 'ready']);

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
    await expect.poll(() => states([picky, other], cid), WAIT).toEqual(['none', 'ready']);
    const publishing = testnet.publish(addModel(), {
      name: 'unwelcome',
      replicas: 2,
      signal: AbortSignal.timeout(6_000),
    });
    await expect(publishing).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_/) });
    expect(states([picky, other], cid)).toEqual(['none', 'ready']);
    await order(folder, 'node.allow', cid);
    await testnet.publish(addModel(), { name: 'unwelcome', replicas: 2 });
    expect(states([picky, other], cid)).toEqual(['ready', 'ready']);
  });

  it('has it fetch and keep what he pins, though the swarm has enough of it', async () => {
    await using testnet = await createTestnet({ nodes: 2, node: { scaling: SCALING } });
    const { cid } = await testnet.publish(addModel(), {
      name: 'favourite',
      replicas: 1,
      files: { 'swarm.json': JSON.stringify({ deployment: { minReplicas: 1, maxReplicas: 1 } }) },
    });
    const spare = testnet.nodes.find((node) => states([node], cid)[0] === 'none');
    if (spare === undefined) throw new Error('both nodes hold it');
    const folder = await folderOf(testnet.folder, spare);
    expect(await order(folder, 'node.pin', cid)).toMatchObject({ pinned: [cid] });
    await expect.poll(() => states([spare], cid), WAIT).toEqual(['ready']);
  });

  it('runs only what does what his list of tasks says', async () => {
    await using testnet = await createTestnet({ nodes: 1 });
    const picky = await testnet.addNode({ allowTasks: ['image-classification'] });
    const task = (name: string) => ({
      files: { 'swarm.json': JSON.stringify({ metadata: { task: name } }) },
    });
    const text = await testnet.publish(addModel(), { name: 'text', replicas: 1, ...task('text') });
    expect(states([picky], text.cid)).toEqual(['none']);
    const image = await testnet.publish(addModel(2), {
      ...{ name: 'image', replicas: 2 },
      ...task('image-classification'),
    });
    expect(states([picky], image.cid)).toEqual(['ready']);
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
