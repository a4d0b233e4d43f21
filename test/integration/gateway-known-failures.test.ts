/** What other inference servers get wrong, each a test by the number it has in the list that this project began with. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseGpuProcesses } from '../../node/device/nvidia-smi.ts';
import { createApiKey } from '../../src/gateway/access/api-key-file.ts';
import { packModel } from '../../src/model/package.ts';
import { writeDurably } from '../../src/swarm/durable-file.ts';
import { FakeBackend } from '../support/fake-backend.ts';
import { embeddingFiles, embeddingModel, VECTOR_SIZE } from '../support/embedding-model.ts';
import { GrpcCaller } from '../support/grpc-caller.ts';
import { lookupModel } from '../support/models.ts';
import { startTestGateway, type TestGateway } from '../support/test-gateway.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';
import { identityModel, simpleModel } from '../support/triton-models.ts';
import { binaryRequest } from '../support/binary-request.ts';

let testnet: Testnet;
let gateway: TestGateway;
let publisher: string;

beforeAll(async () => {
  testnet = await createTestnet({ nodes: 1, clients: 0 });
  ({ publisher } = await testnet.publish(simpleModel(), { name: 'simple' }));
  await testnet.publish(identityModel('INT64'), { name: 'int64' });
  await testnet.publish(identityModel('FP32'), { name: 'fp32' });
  await testnet.publish(embeddingModel(), { name: 'words', files: embeddingFiles() });
  gateway = await startTestGateway(testnet);
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await testnet?.[Symbol.asyncDispose]();
});

const ONES = Array.from({ length: 16 }, () => 1);

const SIMPLE = {
  inputs: ['INPUT0', 'INPUT1'].map((name) => ({
    ...{ name, datatype: 'INT32', shape: [1, 16], data: ONES },
  })),
};

const post = (route: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${gateway.http}${route}`, {
    method: 'POST',
    headers,
    body: body instanceof Uint8Array ? new Uint8Array(body) : JSON.stringify(body),
  });

const errorOf = async (response: Response) => ((await response.json()) as { error: unknown }).error;

/** Two elements of `x` as bytes after the JSON, asked back as bytes. */
async function binary(datatype: 'INT64' | 'FP32', bytes: Buffer) {
  const { body, headers } = binaryRequest({ datatype, shape: [1, 2], bytes });
  const response = await post(`/v2/models/${datatype.toLowerCase()}/infer`, body, headers);
  const length = Number(response.headers.get('inference-header-content-length'));
  return Buffer.from(await response.arrayBuffer()).subarray(length);
}

describe('What others get wrong, this gateway does not', () => {
  it('1: base64 of embeddings is not ignored, so that clients decode no vector of zeros', async () => {
    const body = { model: 'words', input: 'cat', encoding_format: 'base64' };
    const answer = (await (await post('/v1/embeddings', body)).json()) as {
      readonly data: readonly { readonly embedding: string }[];
    };
    const bytes = Buffer.from(answer.data[0]?.embedding ?? '', 'base64');
    expect(bytes.byteLength).toBe(4 * VECTOR_SIZE);
    expect(bytes.readFloatLE(0)).not.toBe(0);
  });

  it('2: binary tensors are taken and given', async () => {
    const bytes = Buffer.from(Float32Array.of(0.5, -1).buffer);
    expect((await binary('FP32', bytes)).equals(bytes)).toBe(true);
  });

  it('3: outputs over gRPC are raw, also of a request that was typed', async () => {
    using caller = new GrpcCaller(gateway.grpc);
    const contents = { int64_contents: ['7', '-8'] };
    const answer = await caller.call('ModelInfer', {
      ...{ model_name: 'int64' },
      inputs: [{ name: 'x', datatype: 'INT64', shape: [1, 2], contents }],
    });
    const raw = answer['raw_output_contents'] as unknown as readonly Buffer[];
    expect([raw[0]?.readBigInt64LE(0), raw[0]?.readBigInt64LE(8)]).toEqual([7n, -8n]);
  });

  it('4: an error is a text under "error" on /v2, an object on /v1, and never a 200 or a "detail"', async () => {
    const open = await post('/v2/models/simple/infer', { inputs: [] });
    expect([open.status, await errorOf(open)]).toEqual([400, expect.any(String)]);
    const openAi = await post('/v1/embeddings', { model: 'simple' });
    const error = { message: expect.any(String), type: expect.any(String) };
    expect([openAi.status, await errorOf(openAi)]).toEqual([
      ...[400, { ...error, param: 'input', code: 'invalid' }],
    ]);
  });

  it('5: no chat without choices: a model that generates no text answers a failure, streamed or not', async () => {
    for (const stream of [false, true]) {
      const body = { model: 'words', stream, messages: [{ role: 'user', content: 'hi' }] };
      const response = await post('/v1/chat/completions', body);
      expect([response.status, response.headers.get('content-type')]).toEqual([
        ...[501, 'application/json'],
      ]);
      expect(await errorOf(response)).toMatchObject({ code: 'unsupported' });
    }
  });

  it('6: usage is one event, the last, and only where it was asked for', async () => {
    const events = async (more: object) => {
      const body = { INPUT0: ONES, INPUT1: ONES, ...more };
      const text = await (await post('/v2/models/simple/generate_stream', body)).text();
      return text.split('\n\n').filter((event) => event !== '');
    };
    const asked = await events({ stream_options: { include_usage: true } });
    expect(asked.map((event) => event.includes('"usage"'))).toEqual([false, true]);
    expect((await events({})).map((event) => event.includes('"usage"'))).toEqual([false]);
  });

  it('7: without a model it is not ready', async () => {
    await using nothing = await createTestnet({ nodes: 1, clients: 0 });
    await using empty = await startTestGateway(nothing, { wait: false });
    const ready = async () => {
      const response = await fetch(`${empty.http}/v2/health/ready`);
      return [response.status, ((await response.json()) as { error?: string }).error];
    };
    await expect.poll(ready, { timeout: 20_000 }).toEqual([503, 'no node serves a model']);
  });

  it('8: health has a body of JSON', async () => {
    const health = async (what: string) =>
      (await fetch(`${gateway.http}/v2/health/${what}`)).json();
    expect(await health('live')).toEqual({ live: true });
    expect(await health('ready')).toEqual({ ready: true, live: true });
  });

  it('9: the type of JSON has no charset behind it, of answers and of errors', async () => {
    const answers = [
      await fetch(`${gateway.http}/v2/health/ready`),
      await post('/v2/models/simple/infer', SIMPLE),
      await post('/v2/models/nothing/infer', SIMPLE),
      await post('/v1/embeddings', {}),
      await fetch(`${gateway.http}/nothing`),
    ];
    expect(answers.map(({ headers }) => headers.get('content-type'))).toEqual(
      answers.map(() => 'application/json'),
    );
  });

  it('10: no 64-bit integer is rounded, and NaN is not null', async () => {
    const infer = async (model: string, datatype: string, data: string) => {
      const x = `{"name":"x","datatype":"${datatype}","shape":[1,2],"data":${data}}`;
      const body = Buffer.from(`{"inputs":[${x}]}`);
      return (await post(`/v2/models/${model}/infer`, body)).text();
    };
    const integers = '[9223372036854775807,-9007199254740993]';
    expect(await infer('int64', 'INT64', integers)).toContain(`"data":${integers}`);
    const floats = '["NaN","-Infinity"]';
    expect(await infer('fp32', 'FP32', floats)).toContain(`"data":${floats}`);
  });

  it('11: messages of gRPC may have more than 4 MiB', async () => {
    using caller = new GrpcCaller(gateway.grpc);
    const rows = 1_000_000;
    const answer = await caller.call('ModelInfer', {
      ...{ model_name: 'fp32', raw_input_contents: [Buffer.alloc(rows * 8)] },
      inputs: [{ name: 'x', datatype: 'FP32', shape: [rows, 2] }],
    });
    const [raw] = answer['raw_output_contents'] as unknown as readonly Buffer[];
    expect(raw?.byteLength).toBe(8_000_000);
  });

  it('12: what is in flight when it ends is answered first', async () => {
    const backend = new FakeBackend({ provider: 'cpu', executeMs: 1_000 });
    await using slow = await createTestnet({ nodes: 1, clients: 0, node: { backend } });
    const files = { 'swarm.json': JSON.stringify({ deployment: { maxBatch: 1 } }) };
    await slow.publish(identityModel('FP32'), { name: 'slow', files });
    await using ending = await startTestGateway(slow);
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }];
    const open = Array.from({ length: 4 }, () =>
      fetch(`${ending.http}/v2/models/slow/infer`, {
        ...{ method: 'POST', body: JSON.stringify({ inputs }) },
      }),
    );
    const metrics = async () => (await fetch(ending.metrics)).text();
    const inFlight = /swarm_gateway_requests_in_flight 4/;
    await expect.poll(metrics, { timeout: 20_000, interval: 20 }).toMatch(inFlight);
    const startMs = performance.now();
    await ending.gateway.drain({ delayMs: 200, timeoutMs: 20_000 });
    // Not for callers who keep their connections.
    expect(performance.now() - startMs).toBeLessThan(15_000);
    expect((await Promise.all(open)).map((response) => response.status)).toEqual(
      open.map(() => 200),
    );
  });

  it('13: what can only fail again is not sent three times', async () => {
    const chat = await post('/v1/chat/completions', { model: 'words', messages: [] });
    expect([chat.status, chat.headers.get('x-should-retry')]).toEqual([501, 'false']);
  });

  it('14: a GPU that does not tell a number is no number that is wrong', () => {
    expect(parseGpuProcesses('12, 300\n13, [N/A]\n')).toEqual([
      { pid: 12, memoryBytes: 300 * 1024 ** 2 },
      { pid: 13, memoryBytes: null },
    ]);
  });

  it('15: a name with a slash is a name, as it is and escaped', async () => {
    for (const name of [`${publisher}/simple`, `${publisher}%2Fsimple`]) {
      const found = await fetch(`${gateway.http}/v2/models/${name}`);
      expect([found.status, await found.json()]).toMatchObject([200, { versions: ['1'] }]);
    }
    const models = await fetch(`${gateway.http}/v1/models/${publisher}/simple`);
    expect(await models.json()).toMatchObject({ id: `${publisher}/simple` });
  });

  it('16: events are held back by no proxy, and compressed for none', async () => {
    const body = { INPUT0: ONES, INPUT1: ONES };
    const headers = { 'accept-encoding': 'gzip' };
    const response = await post('/v2/models/simple/generate_stream', body, headers);
    await response.text();
    const names = ['cache-control', 'x-accel-buffering', 'content-encoding'];
    expect(names.map((name) => response.headers.get(name))).toEqual([
      ...['no-cache, no-transform', 'no', null],
    ]);
  });

  it('17: no metric is labelled by a peer, nor by a name that somebody made up', async () => {
    const made = `made-up-${randomBytes(4).toString('hex')}`;
    await post(`/v2/models/${made}/infer`, SIMPLE);
    await post('/v2/models/simple/infer', SIMPLE);
    const text = await (await fetch(gateway.metrics)).text();
    expect(text).toContain(`model="${publisher}/simple"`);
    expect(text).not.toContain(made);
    expect(text).not.toContain(testnet.nodes[0]?.id ?? 'no node');
  });

  it('18: one key is revoked, and the others go on', async () => {
    const keyFile = path.join(testnet.folder, 'known-failures-keys.json');
    const [first, second] = [createApiKey({}), createApiKey({})];
    const write = (keys: object) => writeDurably(keyFile, Buffer.from(JSON.stringify(keys)), 0o600);
    await write({ first: first.entry, second: second.entry });
    await using guarded = await startTestGateway(testnet, { keyFile });
    const ask = async ({ text }: typeof first) => {
      const headers = { authorization: `Bearer ${text}` };
      return (await fetch(`${guarded.http}/v2`, { headers })).status;
    };
    expect([await ask(first), await ask(second)]).toEqual([200, 200]);
    await write({ second: second.entry });
    await expect.poll(() => ask(first), { timeout: 10_000 }).toBe(401);
    expect(await ask(second)).toBe(200);
  });

  it('19: a model whose external data is not beside it is refused when it is packed, by the name of the file', async () => {
    const file = path.join(testnet.folder, 'external.onnx');
    await writeFile(file, lookupModel(4));
    await expect(packModel(file)).rejects.toMatchObject({
      ...{ code: 'ERR_INVALID_MODEL', message: expect.stringContaining('weights.bin') },
    });
  });

  it('20: a path that leads out of a model leads nowhere, as it is, escaped, and in a load', async () => {
    const { hostname: host, port } = new URL(gateway.http);
    const agent = new Agent();
    const ask = async (method: string, route: string): Promise<number> =>
      new Promise((resolve, reject) => {
        const sent = request({ host, port, path: route, method, agent }, (response) => {
          response.resume().once('end', () => resolve(response.statusCode ?? 0));
        });
        sent.once('error', reject).end('{"parameters":{"file:1/../../x":"eA=="}}');
      });
    for (const name of [
      '..%2F..%2Fetc%2Fpasswd',
      '../../etc/passwd',
      'simple%00',
      `a${'/..'.repeat(500)}`,
    ]) {
      expect([400, 404]).toContain(await ask('GET', `/v2/models/${name}`));
      // A file is refused before anything is looked for.
      expect(await ask('POST', `/v2/repository/models/${name}/load`)).toBe(501);
    }
    agent.destroy();
    expect((await fetch(`${gateway.http}/v2/health/live`)).status).toBe(200);
  });
});
