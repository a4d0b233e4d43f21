import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CallProgress, InferenceCall, type SwarmClient, Tensor } from '../../src/index.ts';
import { ECHO_ALL } from '../support/echo-model.ts';
import { addModel, loopModel } from '../support/models.ts';
import { buildModel } from '../support/onnx-builder.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

/** Rounds of the loop model that outlast every deadline here. */
const ENDLESS = 2n ** 40n;

describe('A call', () => {
  let testnet: Testnet;
  let client: SwarmClient;
  let publisher = '';

  beforeAll(async () => {
    testnet = await createTestnet({ nodes: 2, clients: 1 });
    ({ publisher } = await testnet.publish(addModel(1), { name: 'adder' }));
    await testnet.publish(buildModel(ECHO_ALL), { name: 'echo' });
    await testnet.publish(loopModel(), { name: 'loop' });
    const [first] = testnet.clients;
    if (first === undefined) throw new Error('expected a client');
    client = first;
  });
  afterAll(() => testnet[Symbol.asyncDispose]());

  it('is one object that is awaited and iterated', async () => {
    const call = client.model(`${publisher}/adder`).infer({ x: [[1, 2, 3, 4]] });
    expect(call).toBeInstanceOf(InferenceCall);
    const yielded: [string, unknown][] = [];
    for await (const { name, tensor } of call) yielded.push([name, tensor.toNestedArray()]);
    expect(yielded).toEqual([['sum', [[2, 3, 4, 5]]]]);
    expect((await call).outputs['sum']?.toArray()).toEqual([2, 3, 4, 5]);
  });

  it('ends with the reason it is cancelled for, at once, and takes the request from the node', async () => {
    const call = client.infer(`${publisher}/loop`, { trips: ENDLESS }, { deadlineMs: 60_000 });
    const reason = new Error('seen enough');
    const sent = client.infer(
      `${publisher}/loop`,
      { trips: ENDLESS },
      {
        deadlineMs: 60_000,
        onProgress: ({ kind }) => {
          if (kind === 'sent') sent.cancel(reason);
        },
      },
    );
    await expect(sent).rejects.toBe(reason);
    {
      await using left = call;
      void left;
    }
    await expect(call).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('fails at once when its client is closed, and so does what is asked of it later', async () => {
    const closing = await testnet.addClient();
    const model = closing.model(`${publisher}/loop`);
    const sent = Promise.withResolvers<void>();
    const call = model.infer(
      { trips: ENDLESS },
      {
        deadlineMs: 60_000,
        onProgress: ({ kind }) => {
          if (kind === 'sent') sent.resolve();
        },
      },
    );
    await sent.promise;
    const [ended] = await Promise.allSettled([call, closing.close()]);
    expect(ended).toMatchObject({ status: 'rejected', reason: { code: 'ERR_CONNECTION' } });
    const closed = { code: 'ERR_CONNECTION', message: 'the client is closed' };
    await expect(model.infer({ trips: 1n })).rejects.toMatchObject(closed);
    await expect(model.ready()).rejects.toMatchObject(closed);
    await expect(closing.nodes()).rejects.toMatchObject(closed);
  });

  it('takes plain values of every datatype by the manifest, and answers with them', async () => {
    const values = {
      BOOL: [[true, false]],
      UINT8: Uint8Array.of(0, 255),
      UINT16: [[0, 65_535]],
      UINT32: [[0, 2 ** 32 - 1]],
      UINT64: [[0n, 2n ** 64n - 1n]],
      INT8: [[-128, 127]],
      INT16: [[-1, 1]],
      INT32: [[-1, 1]],
      INT64: [[-(2n ** 63n), 1n]],
      FP16: [[1, -2.5]],
      FP32: [[0.5, -1]],
      FP64: [[0.1, 1e300]],
      BYTES: [['Grüße', '']],
    };
    const { UINT8: bytes, ...nested } = values;
    const { outputs } = await client.infer(`${publisher}/echo`, {
      ...nested,
      UINT8: Tensor.from('UINT8', [1, 2], bytes),
    });
    const answered = Object.entries(outputs).map(([name, tensor]) => [
      name,
      tensor.toNestedArray(),
    ]);
    expect(Object.fromEntries(answered)).toEqual({
      'UINT8-out': [[0, 255]],
      ...Object.fromEntries(Object.entries(nested).map(([name, value]) => [`${name}-out`, value])),
    });
  });

  it.each<[string, Record<string, unknown>, string]>([
    [
      'shape',
      { x: [[1, 2, 3]] },
      "input 'x': expected shape [batch, 4], found arrays of shape [1, 3]",
    ],
    ['name', { y: [[1, 2, 3, 4]] }, "unknown input 'y', the model has 'x'"],
    ['value', { x: [[1, 2, 3, '4']] }, "input 'x': element 3 is 4 (string)"],
  ])('refuses plain values of a wrong %s before it asks a node', async (_, inputs, message) => {
    const heard: string[] = [];
    const call = client.infer(`${publisher}/adder`, inputs as { x: number[][] }, {
      onProgress: ({ kind }) => heard.push(kind),
    });
    await expect(call).rejects.toMatchObject({
      code: 'ERR_INVALID_INPUT',
      message: expect.stringContaining(message),
    });
    expect(heard).not.toContain('sent');
  });

  it('joins several requests to one and gives each its own rows', async () => {
    const model = client.model(`${publisher}/adder`);
    const call = model.inferBatch([
      { x: [[1, 1, 1, 1]] },
      {
        x: Tensor.of('FP32', [
          [2, 2, 2, 2],
          [3, 3, 3, 3],
        ]),
      },
    ]);
    const results = await call;
    expect(results.map(({ outputs }) => outputs['sum']?.toNestedArray())).toEqual([
      [[2, 2, 2, 2]],
      [
        [3, 3, 3, 3],
        [4, 4, 4, 4],
      ],
    ]);
    let yielded = 0;
    for await (const { node } of call) {
      expect(node).toBe(results[yielded]?.node);
      yielded += 1;
    }
    expect(yielded).toBe(2);
  });

  it.each<[string, readonly Record<string, number[][]>[], string]>([
    ['no requests', [], 'expected at least one request in a batch'],
    [
      'requests of other inputs',
      [{ x: [[1, 1, 1, 1]] }, {}],
      'request 1 of the batch has no inputs',
    ],
  ])('refuses a batch of %s', async (_, requests, message) => {
    await expect(client.inferBatch(`${publisher}/adder`, requests)).rejects.toMatchObject({
      code: 'ERR_INVALID_INPUT',
      message: expect.stringContaining(message),
    });
  });

  it('tells its progress in order, with the bytes of both directions', async () => {
    const heard: CallProgress[] = [];
    const rows = 100_000;
    const x = Tensor.from('FP32', [rows, 4], new Float32Array(rows * 4));
    const { version, node } = await client.infer(
      `${publisher}/adder`,
      { x },
      { onProgress: (progress) => heard.push(progress) },
    );
    const lifecycle = heard.filter(({ kind }) => kind !== 'transfer');
    expect(lifecycle).toMatchObject([
      { kind: 'resolving' },
      { kind: 'resolved', version, channel: 'stable' },
      { kind: 'sent', node, attempt: 1, cold: false, etaMs: null },
    ]);
    const transfers = heard.filter((progress) => progress.kind === 'transfer');
    for (const direction of ['request', 'response'] as const) {
      const last = transfers.findLast((transfer) => transfer.direction === direction);
      expect(last).toMatchObject({ bytes: rows * 16, totalBytes: rows * 16 });
    }
    const times = heard.map(({ elapsedMs }) => elapsedMs);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  it('answers although its listener throws', async () => {
    const warned = new Promise<Error>((resolve) => {
      process.once('warning', resolve);
    });
    const call = client.infer(
      `${publisher}/adder`,
      { x: [[1, 2, 3, 4]] },
      {
        onProgress: () => {
          throw new Error('listener is broken');
        },
      },
    );
    expect((await call).outputs['sum']?.toArray()).toEqual([2, 3, 4, 5]);
    expect((await warned).message).toContain('listener is broken');
  });

  it('fails as a promise does when its reference or an option is wrong', async () => {
    const x = [[1, 2, 3, 4]];
    const failure = expect.objectContaining({ code: 'ERR_INVALID_INPUT' });
    await expect(client.infer('no publisher', { x })).rejects.toEqual(failure);
    const hasty = client.infer(`${publisher}/adder`, { x }, { priority: 256 });
    await expect(hasty).rejects.toEqual(failure);
  });

  it('gives up before it asks anybody when its signal has aborted already', async () => {
    const reason = new Error('gone');
    const heard: string[] = [];
    const call = client.infer(
      `${publisher}/adder`,
      { x: [[1, 2, 3, 4]] },
      { signal: AbortSignal.abort(reason), onProgress: ({ kind }) => heard.push(kind) },
    );
    await expect(call).rejects.toBe(reason);
    expect(heard).toEqual([]);
  });

  it('knows by its model whether it is ready, and what it takes', async () => {
    const model = client.model(`${publisher}/adder`);
    expect(await model.ready()).toBe(true);
    const { name, channel, manifest } = await model.metadata();
    expect([name, channel]).toEqual(['adder', 'stable']);
    expect(manifest.inputs).toEqual([{ name: 'x', datatype: 'FP32', shape: ['batch', 4] }]);
    await expect(client.model(`${publisher}/nothing`).ready()).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
    });
  });
});
