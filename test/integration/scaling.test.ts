import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { NodeInit, SwarmNode } from '../../node/index.ts';
import type { Deployment } from '../../protocols/manifest/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { type SwarmClient, Tensor } from '../../src/index.ts';
import { echoModel } from '../support/echo-model.ts';
import { FakeBackend } from '../support/fake-backend.ts';
import { buildModel } from '../support/onnx-builder.ts';
import { present } from '../support/present.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

/** Twenty requests a second at one node. */
const EXECUTE_MS = 50;

const WAIT = { timeout: 30_000, interval: 50 };

const SCALING = {
  stableWindowMs: 2_000,
  panicWindowMs: 600,
  tickMs: 200,
  upDelayMs: 400,
  downDelayMs: 2_000,
  claimSpreadMs: 200,
  recruitIntervalMs: 1_000,
};

const model = buildModel(echoModel({ x: { datatype: 'FP32', shape: ['n', 4] } }));

/** A node whose models all take the same time, on hardware that it has not. */
function scalingNode(): Partial<NodeInit> {
  return {
    backend: new FakeBackend({ provider: 'cpu', executeMs: EXECUTE_MS }),
    announceIntervalMs: 500,
    scaling: SCALING,
  };
}

async function createSwarm(nodes: number): Promise<Testnet> {
  const testnet = await createTestnet({ nodes: 0 });
  try {
    await Promise.all(Array.from({ length: nodes }, () => testnet.addNode(scalingNode())));
    return testnet;
  } catch (error) {
    await testnet[Symbol.asyncDispose]();
    throw error;
  }
}

async function publish(
  testnet: Testnet,
  name: string,
  deployment: Deployment,
): Promise<{ readonly cid: VersionCid; readonly ref: string }> {
  const { cid, publisher } = await testnet.publish(model, {
    name,
    replicas: 1,
    files: { 'swarm.json': JSON.stringify({ deployment: { maxBatch: 1, ...deployment } }) },
  });
  return { cid, ref: `${publisher}/${name}` };
}

function stateOn(node: SwarmNode, cid: VersionCid): string {
  return node.replicas.get(cid)?.state ?? 'none';
}

function states({ nodes }: Testnet, cid: VersionCid): string[] {
  return nodes.map((node) => stateOn(node, cid)).toSorted();
}

function readyCount(testnet: Testnet, cid: VersionCid): number {
  return states(testnet, cid).filter((state) => state === 'ready').length;
}

const ask = (client: SwarmClient, ref: string) =>
  client.infer(ref, { x: Tensor.from('FP32', [1, 4], [1, 2, 3, 4]) }, { deadlineMs: 20_000 });

/** Keeps so many callers asking one after another until it is stopped; throws what any of them met. */
function startCrowd(client: SwarmClient, ref: string, callers: number) {
  const over = new AbortController();
  let answers = 0;
  const caller = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await ask(client, ref);
      answers += 1;
    }
  };
  const all = Promise.all(Array.from({ length: callers }, caller));
  // Awaited when the crowd is told to leave.
  all.catch(() => undefined);
  return {
    get answers() {
      return answers;
    },
    async stop() {
      over.abort();
      await all;
    },
  };
}

describe('A swarm that scales itself', () => {
  it('loads a hot version on an idle node, from its peers, and takes it from there when the crowd has gone', async () => {
    await using testnet = await createSwarm(3);
    const { cid, ref } = await publish(testnet, 'echo', { minReplicas: 1 });
    await expect.poll(() => readyCount(testnet, cid), WAIT).toBe(1);
    const client = present(testnet.clients[0]);
    const crowd = startCrowd(client, ref, 8);
    await expect.poll(() => readyCount(testnet, cid), WAIT).toBeGreaterThan(1);
    await crowd.stop();
    await expect.poll(() => states(testnet, cid), WAIT).toContain('cold');
    await expect.poll(() => readyCount(testnet, cid), WAIT).toBe(1);
    // It is the publisher's minimum: nobody leaves any more.
    await delay(2 * SCALING.downDelayMs);
    expect(readyCount(testnet, cid)).toBe(1);
    await expect(ask(client, ref)).resolves.toMatchObject({ version: cid });
  });
});
