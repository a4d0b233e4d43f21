import { describe, expect, it } from 'vitest';
import type { SwarmNode } from '../../node/index.ts';
import { echoModel } from '../support/echo-model.ts';
import { FakeBackend } from '../support/fake-backend.ts';
import { MadeUpNodes } from '../support/made-up-nodes.ts';
import { buildModel } from '../support/onnx-builder.ts';
import { present } from '../support/present.ts';
import { createTestnet } from '../support/testnet.ts';

const MODEL = buildModel(echoModel({ x: { datatype: 'FP32', shape: ['n', 4] } }));

const WAIT = { timeout: 40_000, interval: 50 };

const node = () => ({
  backend: new FakeBackend({ provider: 'cpu', executeMs: 5 }),
  announceIntervalMs: 500,
  scaling: { tickMs: 200, claimSpreadMs: 100 },
});

describe('A swarm of which somebody announces holders that do not exist', () => {
  it('replaces one that leaves, while ever new ones are announced', async () => {
    await using testnet = await createTestnet({ nodes: 0 });
    const nodes = await Promise.all([1, 2, 3].map(() => testnet.addNode(node())));
    const { publisher, cid } = await testnet.publish(MODEL, {
      name: 'wanted',
      replicas: 2,
      files: { 'swarm.json': JSON.stringify({ deployment: { minReplicas: 2, maxReplicas: 3 } }) },
    });
    const stateOn = (one: SwarmNode): string => one.replicas.get(cid)?.state ?? 'none';
    await expect
      .poll(() => nodes.map(stateOn).toSorted(), WAIT)
      .toEqual(['none', 'ready', 'ready']);
    const holder = present(nodes.find((one) => stateOn(one) === 'ready'));
    const spare = present(nodes.find((one) => stateOn(one) === 'none'));

    const liar = await testnet.addPeer();
    await using madeUp = await MadeUpNodes.start(liar, { cid, publisher, name: 'wanted' });
    const client = present(testnet.clients[0]);
    // Callers take them for holders at first, and so do nodes.
    await client.infer(`${publisher}/wanted`, { x: [[1, 2, 3, 4]] }, { deadlineMs: 20_000 });
    const readyOn = () => client.ready(cid).map((one) => one.node.announcement.node);
    await expect.poll(() => readyOn().some((id) => madeUp.nodes.includes(id)), WAIT).toBe(true);
    const stopping = holder.stop();
    await expect.poll(() => stateOn(spare), WAIT).toBe('ready');
    await stopping;
    const before = madeUp.nodes.length;
    await expect.poll(() => madeUp.nodes.length, WAIT).toBeGreaterThan(before);
  });
});
