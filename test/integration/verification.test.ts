import { mkdtemp, readdir } from 'node:fs/promises';
import path from 'node:path';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { SwarmNode } from '../../node/index.ts';
import { checkReceipt, openReceipt } from '../../protocols/receipt/index.ts';
import { checkEvidence } from '../../src/client/evidence.ts';
import { EvidenceFolder } from '../../src/client/evidence-folder.ts';
import { type InferOptions, type InferResult, type SwarmClient, Tensor } from '../../src/index.ts';
import { addTo, Liar, type Lie } from '../support/lying-backend.ts';
import { addModel } from '../support/models.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

const x = Tensor.from('FP32', [1, 4], [1, 2, 3, 4]);
const RIGHT = [2, 3, 4, 5];

const sum = ({ outputs }: InferResult): unknown => outputs['sum']?.toArray();

describe('A verified call, in a swarm of five owners', () => {
  let testnet: Testnet;
  let reference = '';
  const liars = Array.from({ length: 5 }, () => new Liar());
  let nodes: readonly SwarmNode[] = [];

  beforeAll(async () => {
    testnet = await createTestnet({ nodes: 0, clients: 0 });
    nodes = await Promise.all(
      liars.map((liar) => testnet.addNode({ backend: liar.createBackend() })),
    );
    const { publisher } = await testnet.publish(addModel(1), { name: 'adder', replicas: 5 });
    reference = `${publisher}/adder`;
  }, 60_000);
  afterAll(() => testnet[Symbol.asyncDispose]());
  afterEach(() => {
    for (const liar of liars) {
      liar.lie = undefined;
    }
  });

  /** A client that knows all five nodes. */
  async function newClient(init: Parameters<Testnet['addClient']>[0] = {}): Promise<SwarmClient> {
    const client = await testnet.addClient(init);
    const { cid } = await client.resolve(reference);
    await expect
      .poll(
        async () => {
          await client.nodes();
          return client.ready(cid).length;
        },
        { timeout: 20_000 },
      )
      .toBe(5);
    return client;
  }

  const infer = (client: SwarmClient, options: InferOptions): Promise<InferResult> =>
    client.infer(reference, { x }, options);

  it('comes back with who agrees, each by a signed receipt of this call', async () => {
    const client = await newClient();
    const result = await infer(client, { verify: 3 });
    expect(sum(result)).toEqual(RIGHT);
    const { verification, version } = result;
    expect(verification).toMatchObject({ replicas: 3, agreed: 3 });
    const witnesses = verification?.witnesses ?? [];
    expect(witnesses.every(({ agrees, difference }) => agrees && difference === null)).toBe(true);
    expect(new Set(witnesses.map(({ owner }) => owner)).size).toBe(3);
    expect(witnesses[0]).toMatchObject({ node: result.node, owner: result.owner, provider: 'cpu' });
    const inputs = [{ name: 'x', tensor: x }];
    const outputs = Object.entries(result.outputs).map(([name, tensor]) => ({ name, tensor }));
    for (const { receipt, node } of witnesses) {
      const opened = await openReceipt(receipt);
      await checkReceipt(opened.receipt, {
        node,
        caller: client.id,
        version,
        inputs,
        outputs,
      });
    }
    expect(client.evidence).toEqual([]);
  });

  it.each<[string, Lie]>([
    ['adds one to everything', addTo(1)],
    ['differs by just more than the tolerance', addTo(0.06)],
    [
      'answers garbage of another shape',
      () => [{ name: 'sum', tensor: Tensor.from('FP32', [2, 2], [0, 0, 0, 0]) }],
    ],
    [
      'answers nothing but NaN',
      () => [{ name: 'sum', tensor: Tensor.from('FP32', [1, 4], [NaN, NaN, NaN, NaN]) }],
    ],
    ['leaves the output out', () => []],
  ])('gives the right answer when one of the nodes %s, and never asks it again', async (_, lie) => {
    const client = await newClient();
    const liar = liars[2];
    const node = nodes[2];
    if (liar === undefined || node === undefined) expect.fail('no such node');
    liar.lie = lie;
    // All five are asked in the end: whoever lies is among them.
    await expect
      .poll(
        async () => {
          const result = await infer(client, { verify: 4 });
          expect(sum(result)).toEqual(RIGHT);
          return client.evidence.length;
        },
        { timeout: 20_000 },
      )
      .toBe(1);
    const [evidence] = client.evidence;
    if (evidence === undefined) expect.fail('no evidence');
    expect(evidence).toMatchObject({ charge: 'lie', accused: { node: node.id } });
    await checkEvidence(evidence);
    const answered = liar.answers;
    for (let call = 0; call < 10; call += 1) {
      expect((await infer(client, {})).node).not.toBe(node.id);
      expect(sum(await infer(client, { verify: 2 }))).toEqual(RIGHT);
    }
    expect(liar.answers).toBe(answered);
  });

  it('asks as many owners as were wanted, and more only because one of them lies', async () => {
    const asked = () => liars.reduce((sum, { answers }) => sum + answers, 0);
    const before = asked();
    expect((await infer(await newClient(), { verify: 3 })).verification?.witnesses).toHaveLength(3);
    expect(asked() - before).toBe(3);
    if (liars[1] !== undefined) liars[1].lie = addTo(1);
    await expect
      .poll(
        async () => {
          const counted = asked();
          const { verification } = await infer(await newClient(), { verify: 3 });
          expect(verification?.agreed).toBe(3);
          const differs = verification?.witnesses.some(({ agrees }) => !agrees);
          expect(asked() - counted).toBe(differs === true ? 4 : 3);
          return differs;
        },
        { timeout: 30_000 },
      )
      .toBe(true);
  });

  it('does not wait for a node that never answers while others can be asked', async () => {
    const client = await newClient();
    const stuck = liars[4];
    if (stuck === undefined) expect.fail('no such node');
    const { promise, resolve } = Promise.withResolvers<void>();
    let held = 0;
    stuck.lie = async (outputs) => {
      held += 1;
      await promise;
      return outputs;
    };
    try {
      await expect
        .poll(
          async () => {
            const result = await infer(client, { verify: 4, deadlineMs: 4_000 });
            expect(sum(result)).toEqual(RIGHT);
            expect(result.verification?.agreed).toBe(4);
            return held;
          },
          { timeout: 30_000 },
        )
        .toBeGreaterThan(0);
    } finally {
      resolve();
    }
    expect(client.evidence).toEqual([]);
  });

  it('holds nothing against a node that differs by less than the tolerance', async () => {
    const client = await newClient();
    for (const liar of liars) liar.lie = addTo(0.005);
    if (liars[0] !== undefined) liars[0].lie = undefined;
    for (let call = 0; call < 5; call += 1) {
      expect((await infer(client, { verify: 5 })).verification).toMatchObject({ agreed: 5 });
    }
    expect(client.evidence).toEqual([]);
  });

  it('is a typed disagreement when everybody says something else', async () => {
    const client = await newClient();
    for (const [index, liar] of liars.entries()) liar.lie = addTo(index);
    await expect(infer(client, { verify: 3 })).rejects.toMatchObject({
      code: 'ERR_DISAGREEMENT',
      details: { most: 1, answers: { length: 5 } },
    });
    expect(client.evidence).toEqual([]);
  });

  it('is a typed disagreement when two that lie together meet two that do not', async () => {
    const client = await newClient();
    for (const liar of liars.slice(0, 2)) liar.lie = addTo(1);
    if (liars[4] !== undefined)
      liars[4].lie = () => {
        throw new Error('out of order');
      };
    await expect(infer(client, { verify: 3 })).rejects.toMatchObject({
      code: 'ERR_DISAGREEMENT',
      message: expect.stringContaining('4 owners, of which at most 2 agree'),
    });
  });

  it('is only as honest as most owners: three of five that tell one lie are believed', async () => {
    const client = await newClient();
    for (const liar of liars.slice(0, 3)) liar.lie = addTo(1);
    const result = await infer(client, { verify: 5 });
    expect(sum(result)).toEqual([3, 4, 5, 6]);
    // What it says of itself: not all owners agree.
    expect(result.verification).toMatchObject({ agreed: 3, witnesses: { length: 5 } });
  });

  it('remembers who lied where it has a folder, over a restart, for others to check', async () => {
    const dataDir = await mkdtemp(path.join(testnet.folder, 'client-'));
    const client = await newClient({ dataDir });
    const liar = liars[3];
    const node = nodes[3];
    if (liar === undefined || node === undefined) expect.fail('no such node');
    liar.lie = addTo(1);
    await expect
      .poll(
        async () => {
          await infer(client, { verify: 4 });
          return client.evidence.length;
        },
        { timeout: 20_000 },
      )
      .toBe(1);
    await client.close();
    expect(await readdir(path.join(dataDir, 'evidence'))).toHaveLength(1);
    const [kept] = await new EvidenceFolder(dataDir).list();
    expect(kept?.evidence.accused.node).toBe(node.id);
    if (kept !== undefined) await checkEvidence(kept.evidence);
    liar.lie = undefined;
    const answered = liar.answers;
    const again = await newClient({ dataDir });
    expect(again.evidence).toHaveLength(1);
    for (let call = 0; call < 10; call += 1) await infer(again, { verify: 2 });
    expect(liar.answers).toBe(answered);
  });

  it('is checked in the background where the client samples, and the liar found', async () => {
    const client = await newClient({ sampling: { firstAnswers: 20, budget: 1 } });
    const [liar, node] = [liars[0], nodes[0]];
    if (liar === undefined || node === undefined) expect.fail('no such node');
    liar.lie = addTo(1);
    await expect
      .poll(
        async () => {
          // Of its own accord the client asks whoever answers first, which need not be the liar.
          await infer(client, { prefer: { nodes: [node.id] } });
          return client.evidence.map(({ accused }) => accused.node);
        },
        { timeout: 30_000 },
      )
      .toEqual([node.id]);
    const answered = liar.answers;
    for (let call = 0; call < 10; call += 1) expect(sum(await infer(client, {}))).toEqual(RIGHT);
    expect(liar.answers).toBe(answered);
  });
});

describe('A verified call, where one node runs on another provider', () => {
  it('leaves it when it differs, without calling it a liar', async () => {
    await using testnet = await createTestnet({ nodes: 3, clients: 0 });
    const other = new Liar();
    other.provider = 'cuda';
    const node = await testnet.addNode({ backend: other.createBackend() });
    const { publisher } = await testnet.publish(addModel(1), { name: 'adder', replicas: 4 });
    other.lie = addTo(1);
    const client = await testnet.addClient();
    const infer = (options: InferOptions) => client.infer(`${publisher}/adder`, { x }, options);
    await expect
      .poll(
        async () => {
          await infer({ verify: 3 });
          return client.evidence.map(({ charge, accused }) => [charge, accused.node]);
        },
        { timeout: 20_000 },
      )
      .toEqual([['other provider', node.id]]);
    const answered = other.answers;
    for (let call = 0; call < 10; call += 1) await infer({});
    expect(other.answers).toBe(answered);
  });
});

describe("A verified call of versions with their publisher's own tolerance", () => {
  it('takes an answer for right that differs by less, and for a lie that differs by more', async () => {
    await using testnet = await createTestnet({ nodes: 2, clients: 0 });
    const liar = new Liar();
    const node = await testnet.addNode({ backend: liar.createBackend() });
    const publish = async (name: string, absolute: number): Promise<string> => {
      const settings = { tolerance: { absolute, relative: 0 } };
      const files = { 'swarm.json': JSON.stringify(settings) };
      const { publisher } = await testnet.publish(addModel(1), { name, replicas: 3, files });
      return `${publisher}/${name}`;
    };
    const [coarse, exact] = [await publish('coarse', 0.5), await publish('exact', 0)];
    liar.lie = addTo(0.25);
    const client = await testnet.addClient();
    const { verification } = await client.infer(coarse, { x }, { verify: 3 });
    expect(verification).toMatchObject({ agreed: 3, witnesses: { length: 3 } });
    expect(client.evidence).toEqual([]);
    const found = await client.infer(exact, { x }, { verify: 3 });
    expect(sum(found)).toEqual(RIGHT);
    expect(found.verification).toMatchObject({ agreed: 2, witnesses: { length: 3 } });
    expect(client.evidence).toMatchObject([
      {
        charge: 'lie',
        accused: { node: node.id },
        tolerance: { absolute: 0 },
        difference: expect.stringContaining('within 0 absolute and 0 relative'),
      },
    ]);
  });
});

describe('A verified call, where owners are few', () => {
  let testnet: Testnet;
  let reference = '';
  let nodes: readonly SwarmNode[] = [];

  beforeAll(async () => {
    testnet = await createTestnet({ nodes: 0, clients: 0 });
    const ownerKey = await generateKeyPair('Ed25519');
    // Two nodes of one owner, and one that signs no receipts.
    const inits = [{ ownerKey }, { ownerKey }, { receipts: false }];
    nodes = await Promise.all(inits.map((init) => testnet.addNode(init)));
    const { publisher } = await testnet.publish(addModel(1), { name: 'adder', replicas: 3 });
    reference = `${publisher}/adder`;
  }, 60_000);
  afterAll(() => testnet[Symbol.asyncDispose]());

  it('never counts two nodes of one owner as two', async () => {
    const client = await testnet.addClient();
    await expect(client.infer(reference, { x }, { verify: 2 })).rejects.toMatchObject({
      code: 'ERR_NO_NODE',
      message: expect.stringContaining('answered by nodes of 1 owners, expected at least 2'),
    });
  });

  it('takes fewer owners when the caller is content with them', async () => {
    const client = await testnet.addClient();
    const result = await client.infer(reference, { x }, { verify: { replicas: 2, atLeast: 1 } });
    expect(result.outputs['sum']?.toArray()).toEqual(RIGHT);
    expect(result.verification).toMatchObject({ replicas: 2, agreed: 1, witnesses: { length: 1 } });
  });

  it('refuses a number of owners that is out of range', async () => {
    const client = await testnet.addClient();
    for (const verify of [1, 8, 2.5, { replicas: 3, atLeast: 4 }, { replicas: 3, atLeast: 0 }]) {
      await expect(client.infer(reference, { x }, { verify })).rejects.toMatchObject({
        code: 'ERR_INVALID_INPUT',
        message: expect.stringMatching(/^infer option verify\.\w+: expected an integer from/),
      });
    }
  });

  it('gets a receipt only from nodes that sign them, when it asks for one', async () => {
    const client = await testnet.addClient();
    const silent = nodes[2]?.id;
    for (let call = 0; call < 10; call += 1) {
      const { node, receipt } = await client.infer(reference, { x }, { receipt: true });
      expect(node).not.toBe(silent);
      expect(receipt?.receipt).toMatchObject({ node, caller: client.id, provider: 'cpu' });
    }
    expect(await client.infer(reference, { x })).not.toHaveProperty('receipt.bytes');
  });
});
