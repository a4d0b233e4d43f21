import { lstat, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { InferenceBackend, ModelFiles } from '../../node/backend/backend.ts';
import { hostIsolation } from '../../node/backend/isolation.ts';
import { createOnnxBackend } from '../../node/backend/onnx-backend.ts';
import type { SwarmNode } from '../../node/index.ts';
import { isSwarmError } from '../../protocols/errors.ts';
import { protocolId } from '../../protocols/protocol-id.ts';
import {
  REPLICA_VERSION,
  requestReplica,
  signPlacementGrant,
} from '../../protocols/replica/index.ts';
import type { NamedTensor, Tensor } from '../../protocols/tensor.ts';
import {
  type BlockSource,
  handleTransfer,
  TRANSFER_VERSION,
} from '../../protocols/transfer/index.ts';
import type { SwarmClient } from '../../src/index.ts';
import { createSeededInputs } from '../../src/model/seeded-input.ts';
import type { SwarmPeer } from '../../src/swarm/peer.ts';
import { Bystander } from '../support/bystander.ts';
import { ECHO_ALL, LOOP_MODEL } from '../support/echo-model.ts';
import { type HostileModel, hostileModels } from '../support/hostile-models.ts';
import { createModelFolder } from '../support/model-folder.ts';
import { CLASSIFIER, DIVISION, LOOKUP, RECURRENT } from '../support/mutant-bases.ts';
import { createMutant, type Mutant } from '../support/mutants.ts';
import { present } from '../support/present.ts';
import { childrenOf } from '../support/process-tree.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';
import { createVersionFixture } from '../support/version-fixture.ts';

/** How many mutants there are; a longer search is SWARM_MUTANTS=5000 away. */
const MUTANTS = Number(process.env['SWARM_MUTANTS'] ?? 204);

/** Of these every so manyth also goes the whole way, through a publisher, a node and a client. */
const SWARM_SHARE = 17;

/** Models' processes at once: as many as the machines that run this have cores. */
const AT_ONCE = 2;

const EXECUTION_LIMIT_MS = 1_000;

/** Resident bytes of a mutant's process: an ordinary one takes 100 MiB. */
const MAX_MEMORY_BYTES = 512 * 1024 * 1024;

/** What may come of a model that is not as it should be, besides an answer. */
const FAIR = ['ERR_INVALID_MODEL', 'ERR_INVALID_INPUT', 'ERR_EXECUTION', 'ERR_LIMIT'];

const BASES = {
  echo: ECHO_ALL,
  loop: LOOP_MODEL,
  division: DIVISION,
  lookup: LOOKUP,
  classifier: CLASSIFIER,
  recurrent: RECURRENT,
};

const HOSTILE = hostileModels();

const ISOLATED = (await hostIsolation()).kind === 'namespaces';

describe('A node that strangers publish hostile models to', () => {
  let testnet: Testnet;
  let node: SwarmNode;
  let client: SwarmClient;
  let mallory: SwarmPeer;
  /** Where nodes that ask mallory for chunks get them from. */
  let published: BlockSource | undefined;
  let bystander: Bystander;
  let backend: InferenceBackend;
  let before: Awaited<ReturnType<typeof memory>>;

  beforeAll(async () => {
    testnet = await createTestnet({
      nodes: 1,
      clients: 1,
      node: { executionLimitMs: EXECUTION_LIMIT_MS, loopLimitMs: EXECUTION_LIMIT_MS },
    });
    node = present(testnet.nodes[0]);
    client = present(testnet.clients[0]);
    mallory = await testnet.addPeer();
    await mallory.libp2p.handle(
      protocolId(testnet.network, 'transfer', TRANSFER_VERSION),
      (stream, { remotePeer }) =>
        handleTransfer(
          stream,
          { read: async (digest) => published?.read(digest) },
          { peer: remotePeer.toString() },
        ),
    );
    bystander = await Bystander.start(testnet);
    backend = createOnnxBackend({ threads: 1, maxMemoryBytes: MAX_MEMORY_BYTES, maxCrashes: 2 });
    // The node still tries what its host can run on: those processes end by themselves.
    before = await vi.waitFor(
      async () => {
        const found = await memory();
        expect(found.processes.length).toBeLessThanOrEqual(1);
        return found;
      },
      { timeout: 30_000, interval: 100 },
    );
  });
  afterAll(async () => {
    await backend?.stop();
    await testnet?.[Symbol.asyncDispose]();
  });

  /** Has the node hold it, unseen by any scan of the publisher's, asks for an answer, and clears away. */
  const throughTheSwarm = async ({
    name,
    model,
    files = {},
    feeds,
  }: Published): Promise<string> => {
    await using folder = await createModelFolder(model, files);
    const { inputs, outputs } = folder.files;
    const version = createVersionFixture({
      files: { 'model.onnx': model, ...files },
      chunkBytes: 1024 * 1024,
      change: (manifest) => (outputs.length === 0 ? manifest : { ...manifest, inputs, outputs }),
    });
    try {
      published = version.source;
      const signal = AbortSignal.timeout(50_000);
      const release = { name: 'hostile', cid: version.cid };
      const grant = await signPlacementGrant(release, testnet.publisherKey, Date.now());
      const stream = await mallory.openStream(node.id, 'replica', REPLICA_VERSION, signal);
      for await (const { state } of requestReplica(stream, { grant }, signal)) {
        if (state === 'ready') break;
      }
      const tensors = feeds ?? namedTensors(seeded(folder.files) ?? []);
      await client.infer(`${bystander.publisher}/hostile@${version.cid}`, tensors);
      return 'served';
    } catch (error) {
      return verdict(error, name);
    } finally {
      await node.replicas.get(version.cid)?.unload();
    }
  };

  const inItsProcess = async ({ name, model }: Mutant): Promise<string> => {
    await using folder = await createModelFolder(model);
    try {
      const loaded = await backend.load(folder.files);
      try {
        const inputs = seeded(folder.files) ?? [];
        await loaded.run(inputs, { limitMs: EXECUTION_LIMIT_MS });
        return 'served';
      } finally {
        await loaded.unload();
      }
    } catch (error) {
      return verdict(error, name);
    }
  };

  it.each(HOSTILE.map(({ name }) => name))(
    'holds against %s',
    { timeout: 90_000 },
    async (name) => {
      const hostile = present(HOSTILE.find((other) => other.name === name));
      const end = await throughTheSwarm(hostile);
      const expected = {
        refused: ['ERR_INVALID_MODEL'],
        fails: ['ERR_EXECUTION', 'ERR_LIMIT'],
        served: ['served'],
      }[hostile.end];
      expect(expected).toContain(end);
    },
  );

  it(`holds against ${MUTANTS} mutants`, { timeout: 60_000 + MUTANTS * 2_000 }, async () => {
    const ends = new Map<string, number>();
    const unfair: string[] = [];
    const seeds = Array.from({ length: MUTANTS }, (_, seed) => seed);
    const work = async (): Promise<void> => {
      for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
        const mutant = createMutant(BASES, seed);
        const end = await inItsProcess(mutant);
        ends.set(end, (ends.get(end) ?? 0) + 1);
        if (end !== 'served' && !FAIR.includes(end)) unfair.push(`seed ${seed}, ${end}`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    expect(unfair).toEqual([]);
    // A corpus that is refused whole, or served whole, would show nothing.
    expect(ends.get('served')).toBeGreaterThan(MUTANTS / 10);
    expect(ends.get('ERR_INVALID_MODEL')).toBeGreaterThan(MUTANTS / 10);
  });

  it('holds against a sample of them by way of the swarm', { timeout: 120_000 }, async () => {
    const unfair: string[] = [];
    for (let seed = 0; seed < MUTANTS; seed += SWARM_SHARE) {
      const end = await throughTheSwarm(createMutant(BASES, seed));
      if (end !== 'served' && !FAIR.includes(end)) unfair.push(`seed ${seed}, ${end}`);
    }
    expect(unfair).toEqual([]);
  });

  it.runIf(ISOLATED)('keeps its key and its records from the processes of its models', async () => {
    expect(node.isolation.kind).toBe('namespaces');
    const [child] = (await memory()).processes;
    const folders = await readdir(testnet.folder);
    const data = path.join(
      testnet.folder,
      present(folders.find((name) => name.startsWith('node-'))),
    );
    const inside = path.join(`/proc/${child}/root`, data);
    expect(await readFile(path.join(data, 'node.key'), 'utf8')).not.toBe('');
    if (node.isolation.confine !== undefined) {
      expect((await readdir(inside)).toSorted()).toEqual(['run', 'store']);
      expect(await readdir(path.join(inside, 'store'))).toEqual(['versions']);
      expect(await readdir(path.join(inside, 'store', 'versions'))).toHaveLength(1);
      return;
    }
    expect(await readFile(path.join(inside, 'node.key'), 'utf8')).toBe('');
    expect(await readdir(path.join(inside, 'records'))).toEqual([]);
    expect(await readdir(path.join(inside, 'store', 'index'))).toEqual([]);
    // A node's owner is listened to on a socket, which a process without network could still have opened.
    expect((await lstat(path.join(data, 'control.sock'))).isSocket()).toBe(true);
    expect((await lstat(path.join(inside, 'control.sock'))).isSocket()).toBe(false);
  });

  it('has failed no bystander meanwhile', async () => {
    const { answers, failures } = await bystander.stop();
    expect(failures).toEqual([]);
    expect(answers.get(node.id)).toBeGreaterThan(100);
    expect(node.replicas.get(bystander.cid)?.state).toBe('ready');
  });

  it.runIf(process.platform === 'linux')('has all memory back afterwards', async () => {
    await vi.waitFor(
      async () => {
        const after = await memory();
        expect(after.processes).toEqual(before.processes);
        // The bystander's own process has answered thousands of requests meanwhile.
        expect(after.childrenBytes).toBeLessThan(before.childrenBytes + 64 * 1024 * 1024);
        expect(after.ownBytes).toBeLessThan(before.ownBytes + 64 * 1024 * 1024);
      },
      { timeout: 20_000, interval: 500 },
    );
  });
});

type Published = Pick<HostileModel, 'name' | 'model' | 'files' | 'feeds'>;

function seeded({ inputs }: ModelFiles): NamedTensor[] | undefined {
  const init = { seed: 1, rows: 2, freeSize: 2, plain: true, maxElements: 1_000_000 };
  return createSeededInputs(inputs, init);
}

function namedTensors(tensors: readonly NamedTensor[]): Record<string, Tensor> {
  return Object.fromEntries(tensors.map(({ name, tensor }) => [name, tensor]));
}

/** How a model ended: the code of its error where that is a fair one, else all there is to say. */
function verdict(error: unknown, name: string): string {
  if (!isSwarmError(error)) return `${name}: ${String(error)}`;
  return FAIR.includes(error.code) ? error.code : `${name}: ${error.code} ${error.message}`;
}

/** What this process, in which the node runs, and the processes of its models hold when nothing is under way. */
async function memory() {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  const children = process.platform === 'linux' ? await childrenOf(process.pid) : [];
  return {
    processes: children.map(({ pid }) => pid),
    childrenBytes: children.reduce((sum, { anonymousBytes }) => sum + anonymousBytes, 0),
    ownBytes: heapUsed + external + arrayBuffers,
  };
}
