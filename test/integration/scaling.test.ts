import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type {
  InferenceBackend,
  LoadedModel,
  LoadOptions,
  ModelFiles,
} from '../../node/backend/backend.ts';
import type { NodeInit, SwarmNode } from '../../node/index.ts';
import type { Deployment } from '../../protocols/manifest/index.ts';
import type { LoadingError } from '../../protocols/errors.ts';
import { parseModelRef } from '../../protocols/reference.ts';
import type { AbortOptions, VersionCid } from '../../protocols/types.ts';
import { type CallProgress, type SwarmClient, Tensor } from '../../src/index.ts';
import { echoModel } from '../support/echo-model.ts';
import { FakeBackend } from '../support/fake-backend.ts';
import { type LoadTensors, startLoad } from '../support/load.ts';
import { buildModel } from '../support/onnx-builder.ts';
import { present } from '../support/present.ts';
import { runSwarm } from '../support/swarm-command.ts';
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

/** A backend whose models take so long to load. */
class SlowBackend implements InferenceBackend {
  loadMs = 0;
  readonly #below: InferenceBackend;

  constructor(below: InferenceBackend) {
    this.#below = below;
  }

  providers(options?: AbortOptions): Promise<readonly string[]> {
    return this.#below.providers(options);
  }

  async load(files: ModelFiles, options?: LoadOptions): Promise<LoadedModel> {
    await delay(this.loadMs);
    return this.#below.load(files, options);
  }

  stop(): Promise<void> {
    return this.#below.stop();
  }
}

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

/** Whether an echo came back. */
const isEcho = ({ 'x-out': x }: LoadTensors, index: number) => x?.data[0] === index;

describe('A swarm that scales itself', () => {
  it('loads a hot version on an idle node, from its peers, and takes it from there when the crowd has gone', async () => {
    await using testnet = await createSwarm(3);
    const { cid, ref } = await publish(testnet, 'echo', { minReplicas: 1 });
    await expect.poll(() => readyCount(testnet, cid), WAIT).toBe(1);
    const client = present(testnet.clients[0]);
    await using crowd = startLoad(client, ref, { deadlineMs: 20_000, check: isEcho });
    await expect.poll(() => readyCount(testnet, cid), WAIT).toBeGreaterThan(1);
    await crowd.stop();
    expect([crowd.failures, crowd.wrong]).toEqual([[], 0]);
    await expect.poll(() => states(testnet, cid), WAIT).toContain('cold');
    await expect.poll(() => readyCount(testnet, cid), WAIT).toBe(1);
    await expect(ask(client, ref)).resolves.toMatchObject({ version: cid });
  });

  it('takes what nobody asks for out of memory, and wakes one node of many for all who ask first', async () => {
    await using testnet = await createSwarm(3);
    const { cid, ref } = await publish(testnet, 'sleeper', {
      minReplicas: 0,
      scaleToZeroDelayMs: 1_000,
    });
    const client = present(testnet.clients[0]);
    await expect.poll(() => states(testnet, cid), WAIT).toEqual(['cold', 'none', 'none']);
    // Its files on two nodes: either could wake.
    const [other] = testnet.nodes.filter((node) => stateOn(node, cid) === 'none');
    const { publisher, name } = parseModelRef(ref);
    const origin = { publisher, name, cid };
    const holder = testnet.nodes.find((node) => stateOn(node, cid) === 'cold');
    await present(other).replicas.claim(origin, { peers: [present(holder).id], evict: false });
    expect(stateOn(present(other), cid)).toBe('ready');
    await expect.poll(() => states(testnet, cid), WAIT).toEqual(['cold', 'cold', 'none']);
    const late = await testnet.addClient();
    for (const one of [client, late]) {
      await expect.poll(async () => (await one.replicas()).length, WAIT).toBe(2);
    }
    const progress: CallProgress[] = [];
    const x = Tensor.from('FP32', [1, 4], [1, 2, 3, 4]);
    const askAll = () =>
      Promise.all([
        client.infer(ref, { x }, { onProgress: (one) => progress.push(one) }),
        ...Array.from({ length: 4 }, (_, index) => ask(index % 2 === 0 ? client : late, ref)),
      ]);
    let mostAtOnce = 0;
    const watching = setInterval(() => {
      const awake = states(testnet, cid).filter(
        (state) => state === 'ready' || state === 'loading',
      );
      mostAtOnce = Math.max(mostAtOnce, awake.length);
    }, 5);
    const answers = await askAll().finally(() => clearInterval(watching));
    expect(new Set(answers.map(({ node }) => node)).size).toBe(1);
    expect(mostAtOnce).toBe(1);
    expect(progress.find(({ kind }) => kind === 'sent')).toMatchObject({ cold: true });
    await expect.poll(() => states(testnet, cid), WAIT).toEqual(['cold', 'cold', 'none']);
  });

  it('tells a caller without time for it how long the load of a woken version takes', async () => {
    await using testnet = await createTestnet({ nodes: 0 });
    const backend = new SlowBackend(new FakeBackend({ provider: 'cpu', executeMs: EXECUTE_MS }));
    backend.loadMs = 4_000;
    await testnet.addNode({ ...scalingNode(), backend });
    const { cid, ref } = await publish(testnet, 'sleeper', {
      minReplicas: 0,
      scaleToZeroDelayMs: 1_000,
    });
    await expect.poll(() => states(testnet, cid), WAIT).toEqual(['cold']);
    const client = present(testnet.clients[0]);
    // What it takes to find a version is not what this is about.
    await client.model(ref).metadata();
    const x = Tensor.from('FP32', [1, 4], [1, 2, 3, 4]);
    const hasty = client.infer(ref, { x }, { deadlineMs: 2_000 });
    const loading = await hasty.then(
      () => expect.fail('it had no time for the load'),
      (error: unknown) => error,
    );
    expect(loading).toMatchObject({ code: 'ERR_LOADING', etaMs: expect.any(Number) });
    // As long as the load before took, and so too long to ask again within the deadline.
    expect((loading as LoadingError).etaMs).toBeGreaterThan(2_000);
    await expect(ask(client, ref)).resolves.toMatchObject({ version: cid });
  });

  it('heals what falls below the minimum when a holder dies', async () => {
    await using testnet = await createSwarm(3);
    const { cid, ref } = await publish(testnet, 'echo', { minReplicas: 2 });
    await expect.poll(() => readyCount(testnet, cid), WAIT).toBe(2);
    const holder = present(testnet.nodes.find((node) => stateOn(node, cid) === 'ready'));
    await holder.stop();
    const living = () => testnet.nodes.filter((node) => node !== holder);
    await expect
      .poll(() => living().filter((node) => stateOn(node, cid) === 'ready').length, WAIT)
      .toBe(2);
    await expect(ask(present(testnet.clients[0]), ref)).resolves.toMatchObject({ version: cid });
  });

  it('says how many replicas have no place, and why', async () => {
    await using testnet = await createSwarm(1);
    const { cid } = await publish(testnet, 'echo', { minReplicas: 3 });
    const planOf = () => present(testnet.nodes[0]).plan.find((version) => version.cid === cid);
    await expect.poll(planOf, WAIT).toMatchObject({
      desired: 3,
      have: 1,
      unplaceable: { count: 2, hindrance: 'not accepting' },
    });
  });

  it('shows with `swarm top` what is wanted and what there is', async () => {
    await using testnet = await createSwarm(2);
    const { cid } = await publish(testnet, 'echo', { minReplicas: 2 });
    await expect.poll(() => readyCount(testnet, cid), WAIT).toBe(2);
    const { code, events, stderr } = await runSwarm([
      ...['top', '--once', '--json', '--scaling-tick', '500', '--network', testnet.network],
      ...testnet.bootstrapAddresses.flatMap((address) => ['--bootstrap', address]),
    ]);
    expect(code, stderr).toBe(0);
    expect(events).toMatchObject([
      {
        event: 'top',
        nodes: 2,
        versions: [
          {
            ...{ name: 'echo', version: cid, desired: 2, have: 2, unplaceable: null },
            // Nobody has asked: what its load took says nothing of what it can do.
            ...{ askedPerS: 0, havePerS: null },
          },
        ],
      },
    ]);
  });
});
