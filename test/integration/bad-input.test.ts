import { generateKeyPair } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SwarmClient, Tensor } from '../../src/index.ts';
import { addModel } from '../support/models.ts';
import { buildModel } from '../support/onnx-builder.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

const row = Tensor.from('FP32', [1, 4], [1, 2, 3, 4]);

describe('A client with a bad request', () => {
  let testnet: Testnet;
  let client: SwarmClient;
  let publisher = '';
  let reference = '';

  beforeAll(async () => {
    testnet = await createTestnet({ nodes: 2, clients: 1, node: { maxRequestBytes: 1_000_000 } });
    client = testnet.clients[0] as SwarmClient;
    ({ publisher } = await testnet.publish(addModel(), { name: 'adder' }));
    reference = `${publisher}/adder`;
  });
  afterAll(() => testnet[Symbol.asyncDispose]());

  /** Whatever a test did: the nodes still answer. */
  const stillServes = async () => {
    const { outputs } = await client.infer(reference, { x: row });
    expect(outputs['sum']?.toArray()).toEqual([2, 3, 4, 5]);
  };

  it.each([
    ['', 'is not valid, expected publisher/name'],
    ['adder', 'is not valid, expected publisher/name'],
    ['someone/adder', 'expected the base58 peer id'],
  ])('is told that reference %j is malformed', async (ref, message) => {
    await expect(client.infer(ref, { x: row })).rejects.toMatchObject({
      code: 'ERR_INVALID_INPUT',
      message: expect.stringContaining(message),
    });
  });

  it('is told that a model of a known publisher is unknown', async () => {
    await expect(client.infer(`${publisher}/nothing`, { x: row })).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
      message: `model ${publisher}/nothing is unknown: no release record in the DHT`,
    });
  });

  it('is told that a publisher has published nothing', async () => {
    const nobody = peerIdFromPrivateKey(await generateKeyPair('Ed25519')).toString();
    await expect(client.infer(`${nobody}/adder`, { x: row })).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
    });
  });

  it('is told which channels a model has', async () => {
    await expect(client.infer(`${reference}@nightly`, { x: row })).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
      message: `model ${reference} has no channel 'nightly', it has: stable`,
    });
  });

  it('is told that no node serves a version', async () => {
    const cid = 'bafyreigfgobggyyn37zoptjtamrw7nuql7qmdocz4nirtx5adrznfpwgme';
    await expect(client.infer(`${reference}@${cid}`, { x: row })).rejects.toMatchObject({
      code: 'ERR_NO_NODE',
      message: expect.stringContaining(`no node serves ${reference}@${cid}`),
    });
  });

  it.each([
    ['a wrong name', { y: row }, "unknown input 'y', the model has inputs 'x'"],
    ['no input', {}, "input 'x' is missing, the model takes inputs 'x'"],
    [
      'a wrong datatype',
      { x: Tensor.from('FP64', [1, 4], [1, 2, 3, 4]) },
      "input 'x' has datatype FP64, expected FP32",
    ],
    [
      'a wrong rank',
      { x: Tensor.from('FP32', [4], [1, 2, 3, 4]) },
      "input 'x' has shape [4], expected [batch, 4]",
    ],
    [
      'a wrong dimension',
      { x: Tensor.from('FP32', [1, 3], [1, 2, 3]) },
      "input 'x' has shape [1, 3], expected [batch, 4]",
    ],
    [
      'one input too many',
      { x: row, constructor: row },
      "unknown input 'constructor', the model has inputs 'x'",
    ],
  ])('is told of %s what was expected and found', async (_what, inputs, message) => {
    await expect(client.infer(reference, inputs)).rejects.toMatchObject({
      code: 'ERR_INVALID_INPUT',
      message,
    });
    await stillServes();
  });

  it('is told of an unknown output', async () => {
    const call = client.infer(reference, { x: row }, { outputs: ['difference'] });
    await expect(call).rejects.toMatchObject({
      code: 'ERR_INVALID_INPUT',
      message: "unknown output 'difference', the model has outputs 'sum'",
    });
  });

  it('is stopped before sending when the data does not fill the shape', () => {
    expect(() => Tensor.from('FP32', [1, 4], [1, 2, 3])).toThrow(
      'FP32 tensor of shape [1, 4] needs 4 elements, got 3',
    );
    expect(() => new Tensor('FP32', [1, 4], new Uint8Array(15))).toThrow(
      'FP32 tensor of shape [1, 4] needs 16 bytes, got 15',
    );
  });

  it('gets NaN and infinities back where the model takes them', async () => {
    const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0];
    const { outputs } = await client.infer(reference, { x: Tensor.from('FP32', [1, 4], values) });
    expect(outputs['sum']?.toArray()).toEqual([
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      1,
    ]);
  });

  it('is told when the tensors are larger than a node takes, just under it is served', async () => {
    const fits = Tensor.from('FP32', [62_500, 4], new Float32Array(250_000));
    expect((await client.infer(reference, { x: fits })).outputs['sum']?.shape).toEqual([62_500, 4]);
    const over = Tensor.from('FP32', [62_501, 4], new Float32Array(250_004));
    await expect(client.infer(reference, { x: over })).rejects.toMatchObject({
      code: 'ERR_LIMIT',
      message: 'request has 1000016 bytes of tensors, this node takes at most 1000000',
    });
    await stillServes();
  });

  it('gets an empty batch back empty', async () => {
    const { outputs } = await client.infer(reference, { x: Tensor.from('FP32', [0, 4], []) });
    expect(outputs['sum']?.shape).toEqual([0, 4]);
  });

  it('gets its own reason when it aborts, and a typed error when time runs out', async () => {
    const reason = new Error('changed my mind');
    await expect(
      client.infer(reference, { x: row }, { signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason);
    const nobody = peerIdFromPrivateKey(await generateKeyPair('Ed25519')).toString();
    await expect(
      client.infer(`${nobody}/adder`, { x: row }, { deadlineMs: 1 }),
    ).rejects.toMatchObject({ code: 'ERR_DEADLINE' });
  });
});

describe('A publisher with a bad model', () => {
  let testnet: Testnet;
  beforeAll(async () => {
    testnet = await createTestnet({ nodes: 2, clients: 1 });
  });
  afterAll(() => testnet[Symbol.asyncDispose]());

  it('is told before anything is sent that the file is no model', async () => {
    await expect(
      testnet.publish(new TextEncoder().encode('<!doctype html><p>404'), { name: 'page' }),
    ).rejects.toMatchObject({
      code: 'ERR_INVALID_MODEL',
      message: expect.stringContaining('found an HTML or XML page'),
    });
  });

  it('is told that the file is cut off', async () => {
    const whole = addModel();
    await expect(
      testnet.publish(whole.subarray(0, whole.byteLength - 9), { name: 'half' }),
    ).rejects.toMatchObject({ code: 'ERR_INVALID_MODEL' });
  });

  it('is told by which nodes an unknown operator was refused and why', async () => {
    const model = buildModel({
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [1] }],
      nodes: [{ op: 'Frobnicate', inputs: ['x'], outputs: ['y'] }],
    });
    const publishing = testnet.publish(model, { name: 'frobnicator' });
    await expect(publishing).rejects.toMatchObject({ code: 'ERR_NO_NODE' });
    const { message, details } = await publishing.then(
      () => expect.unreachable(),
      (error: { message: string; details: { refusals: { node: string; code: string }[] } }) =>
        error,
    );
    expect(message).toContain('nothing was released');
    expect(message).toContain('Frobnicate');
    expect(details.refusals.map(({ code }) => code)).toEqual([
      'ERR_INVALID_MODEL',
      'ERR_INVALID_MODEL',
    ]);
    expect(details.refusals.map(({ node }) => node).toSorted()).toEqual(
      testnet.nodes.map(({ id }) => id).toSorted(),
    );
    const client = await testnet.addClient();
    const publisher = peerIdFromPrivateKey(testnet.publisherKey).toString();
    await expect(client.resolve(`${publisher}/frobnicator`)).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
    });
  });

  it('is refused by nodes that do not serve it', async () => {
    const stranger = await generateKeyPair('Ed25519');
    await using picky = await createTestnet({
      nodes: 2,
      clients: 0,
      node: { allowPublishers: [peerIdFromPrivateKey(stranger).toString()] },
    });
    await expect(picky.publish(addModel(), { name: 'adder' })).rejects.toMatchObject({
      code: 'ERR_NO_NODE',
      message: expect.stringContaining('does not serve publisher'),
    });
    const { replicas } = await picky.publish(addModel(), { name: 'adder', key: stranger });
    expect(replicas).toHaveLength(2);
  });
});
