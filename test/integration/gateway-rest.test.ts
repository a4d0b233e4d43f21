import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Datatype } from '../../protocols/datatype.ts';
import { Tensor } from '../../src/index.ts';
import { loopModel } from '../support/models.ts';
import { startTestGateway, type TestGateway } from '../support/test-gateway.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';
import { identityModel, SIMPLE_SETTINGS, simpleModel } from '../support/triton-models.ts';

let testnet: Testnet;
let gateway: TestGateway;
let publisher: string;
let version: string;

beforeAll(async () => {
  testnet = await createTestnet({ nodes: 1, clients: 0 });
  const published = await testnet.publish(simpleModel(), {
    name: 'simple',
    files: { 'swarm.json': SIMPLE_SETTINGS },
  });
  ({ cid: version, publisher } = published);
  for (const datatype of ['INT64', 'FP32', 'FP16', 'BYTES'] as const) {
    await testnet.publish(identityModel(datatype), { name: datatype.toLowerCase() });
  }
  await testnet.publish(identityModel('FP32'), {
    name: 'labelled',
    files: {
      'swarm.json': JSON.stringify({
        classLabels: ['no', 'yes'],
        answer: { kind: 'argmax', output: 'y' },
      }),
    },
  });
  await testnet.publish(loopModel(), { name: 'loop' });
  gateway = await startTestGateway(testnet, {
    publishers: new Map([['alice', publisher as never]]),
    maxBodyBytes: 4_000_000,
  });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await testnet?.[Symbol.asyncDispose]();
});

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  /** The JSON, without the bytes after it. */
  readonly json: Record<string, never>;
}

async function ask(path: string, init: RequestInit = {}): Promise<Reply> {
  const response = await fetch(`${gateway.http}${path}`, {
    headers: { 'accept-encoding': 'identity' },
    ...init,
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  const length = response.headers.get('inference-header-content-length');
  const json = bytes.subarray(0, length === null ? undefined : Number(length)).toString();
  return {
    status: response.status,
    headers: response.headers,
    bytes,
    json: json.startsWith('{') || json.startsWith('[') ? JSON.parse(json) : {},
  };
}

async function post(path: string, body: unknown, headers: Record<string, string> = {}) {
  const isBytes = body instanceof Uint8Array;
  return ask(path, {
    method: 'POST',
    headers: { 'accept-encoding': 'identity', ...headers },
    body: isBytes ? new Uint8Array(body) : typeof body === 'string' ? body : JSON.stringify(body),
  });
}

const ONES = Array.from({ length: 16 }, () => 1);
const COUNT = Array.from({ length: 16 }, (_, index) => index);
const SIMPLE = {
  inputs: [
    { name: 'INPUT0', datatype: 'INT32', shape: [1, 16], data: COUNT },
    { name: 'INPUT1', datatype: 'INT32', shape: [1, 16], data: ONES },
  ],
};

/** A request whose input `x` [1, 2] comes as bytes after the JSON. */
function binaryRequest(datatype: Datatype, bytes: Uint8Array, more: object = {}) {
  const json = Buffer.from(
    JSON.stringify({
      inputs: [
        {
          ...{ name: 'x', datatype, shape: [1, 2] },
          parameters: { binary_data_size: bytes.byteLength },
        },
      ],
      ...more,
    }),
  );
  return {
    body: Buffer.concat([json, bytes]),
    headers: { 'inference-header-content-length': String(json.byteLength) },
  };
}

describe('The REST API, of the server', () => {
  it.each(['/v2', '/v2/'])(
    'tells its metadata at %s, with the extensions that work',
    async (path) => {
      const { status, headers, json } = await ask(path);
      expect(status).toBe(200);
      expect(headers.get('content-type')).toBe('application/json');
      expect(json).toMatchObject({ name: 'gpu-swarm', version: '0.0.0-test' });
      expect(json['extensions']).toContain('binary_tensor_data');
      expect(json['extensions']).not.toContain('sequence');
    },
  );

  it('is live and ready in JSON, which some clients parse', async () => {
    expect((await ask('/v2/health/live')).json).toEqual({ live: true });
    expect((await ask('/v2/health/ready')).json).toEqual({ ready: true, live: true });
  });

  it("answers each request with an id, the client's own where it is one", async () => {
    expect((await ask('/v2')).headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    const own = await ask('/v2', { headers: { 'x-request-id': 'mine-1' } });
    expect(own.headers.get('x-request-id')).toBe('mine-1');
    const forged = await ask('/v2', { headers: { 'x-request-id': 'a b' } });
    expect(forged.headers.get('x-request-id')).not.toBe('a b');
  });

  it.each([
    ['GET', '/v2/nothing', 404, 'Not Found'],
    ['GET', '/metrics', 404, 'Not Found'],
    ['DELETE', '/v2', 405, 'Method Not Allowed'],
    ['GET', '/v2/models/simple/infer', 405, 'Method Not Allowed'],
    ['GET', '/v2/systemsharedmemory/status', 501, 'shared memory is not supported'],
  ])('refuses %s %s with %i and a text', async (method, path, status, error) => {
    const reply = await ask(path, { method });
    expect([reply.status, reply.json]).toEqual([status, { error }]);
    expect(reply.headers.get('content-type')).toBe('application/json');
  });

  it.each([
    ['/v2/health/ready', 200],
    ['/v2', 200],
    ['/v1/models', 200],
    ['/v2/models/simple/infer', 405],
    ['/v2/nothing', 404],
  ])('answers HEAD %s with %i, and no body', async (path, status) => {
    const response = await fetch(gateway.http + path, { method: 'HEAD' });
    expect([response.status, await response.text()]).toEqual([status, '']);
    expect(Number(response.headers.get('content-length'))).toBeGreaterThan(0);
  });

  it('has the models of the swarm in its index, and only READY ones when asked', async () => {
    const { json } = await post('/v2/repository/index', '');
    expect(json).toContainEqual({
      ...{ name: `${publisher}/simple`, version: '1', state: 'READY', reason: '' },
    });
    expect((await post('/v2/repository/index', { ready: true })).json).toHaveLength(7);
    expect((await post('/v2/repository/index', { ready: 'yes' })).status).toBe(400);
  });
});

describe('The REST API, of a model', () => {
  it('finds it by publisher, petname, bare name and escaped name', async () => {
    for (const name of [`${publisher}/simple`, 'alice/simple', 'simple', `${publisher}%2Fsimple`]) {
      const { status, json } = await ask(`/v2/models/${name}`);
      expect([status, json['name']]).toEqual([200, decodeURIComponent(name)]);
    }
  });

  it('finds it by sequence, channel and CID', async () => {
    for (const [asked, told] of [
      ['1', '1'],
      ['stable', '1'],
      [version, version],
    ]) {
      const { json } = await post(`/v2/models/simple/versions/${asked}/infer`, SIMPLE);
      expect(json).toMatchObject({ model_name: 'simple', model_version: told });
    }
    const later = await ask('/v2/models/simple/versions/2');
    expect([later.status, later.json]).toMatchObject([404, { error: /has no version '2'/ }]);
  });

  it('tells metadata with a batch dimension, and a configuration without', async () => {
    expect((await ask('/v2/models/simple')).json).toEqual({
      name: 'simple',
      versions: ['1'],
      platform: 'onnxruntime_onnx',
      inputs: ['INPUT0', 'INPUT1'].map((name) => ({ name, datatype: 'INT32', shape: [-1, 16] })),
      outputs: ['OUTPUT0', 'OUTPUT1'].map((name) => ({ name, datatype: 'INT32', shape: [-1, 16] })),
    });
    expect((await ask('/v2/models/simple/config')).json).toMatchObject({
      max_batch_size: 8,
      input: [{ name: 'INPUT0', data_type: 'TYPE_INT32', dims: [16] }, { name: 'INPUT1' }],
    });
    expect((await ask('/v2/models/bytes/config')).json).toMatchObject({
      max_batch_size: 0,
      input: [{ data_type: 'TYPE_STRING', dims: [-1, 2] }],
    });
  });

  it("is ready, or unknown in Triton's words", async () => {
    expect((await ask('/v2/models/simple/ready')).json).toEqual({ name: 'simple', ready: true });
    const { status, json } = await ask('/v2/models/nothing/ready');
    expect([status, json]).toEqual([
      404,
      { error: "Request for unknown model: 'nothing' is not found" },
    ]);
  });

  it('counts rows and calls in nanoseconds', async () => {
    const x = { name: 'x', datatype: 'FP32', shape: [3, 2], data: [1, 2, 3, 4, 5, 6] };
    await post('/v2/models/fp32/infer', { inputs: [x] });
    await post('/v2/models/fp32/infer', { inputs: [] });
    const { json } = await ask('/v2/models/fp32/stats');
    const [stats] = json['model_stats'] as unknown as [Record<string, unknown>];
    expect(stats).toMatchObject({
      name: 'fp32',
      version: '1',
      inference_count: 3,
      execution_count: 1,
      inference_stats: { success: { count: 1 }, fail: { count: 1 }, queue: { count: 1 } },
    });
    const all = await ask('/v2/models/stats');
    expect(all.json['model_stats']).toContainEqual({ ...stats, name: `${publisher}/fp32` });
  });
});

describe('The REST API, of inference', () => {
  it('runs a model on JSON, flat or nested', async () => {
    const { status, json } = await post('/v2/models/simple/infer', { id: 'mine', ...SIMPLE });
    expect(status).toBe(200);
    expect(json).toMatchObject({
      model_name: 'simple',
      model_version: '1',
      id: 'mine',
      parameters: { version, channel: 'stable', node: testnet.nodes[0]?.id },
      outputs: [
        { name: 'OUTPUT0', datatype: 'INT32', shape: [1, 16], data: COUNT.map((n) => n + 1) },
        { name: 'OUTPUT1', data: COUNT.map((n) => n - 1) },
      ],
    });
    const nested = SIMPLE.inputs.map((input) => ({ ...input, data: [input.data] }));
    const again = await post('/v2/models/simple/infer', { inputs: nested });
    expect(again.json['outputs']).toEqual(json['outputs']);
    expect(again.json).not.toHaveProperty('id');
  });

  it('keeps 64-bit integers exact both ways', async () => {
    const body =
      '{"inputs":[{"name":"x","datatype":"INT64","shape":[1,2],"data":[9223372036854775807,-9007199254740993]}]}';
    const { bytes } = await post('/v2/models/int64/infer', body);
    expect(bytes.toString()).toContain('"data":[9223372036854775807,-9007199254740993]');
  });

  it('takes and gives NaN and infinities as text, and says so of bare ones', async () => {
    const data = ['NaN', '-Infinity'];
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 2], data }];
    expect((await post('/v2/models/fp32/infer', { inputs })).json).toMatchObject({
      outputs: [{ data }],
    });
    const bare = await post('/v2/models/fp32/infer', '{"inputs":[{"data":[NaN]}]}');
    expect([bare.status, bare.json]).toMatchObject([400, { error: /binary tensor data/ }]);
  });

  it('answers in bytes where that is asked for, in the order of the JSON', async () => {
    const outputs = [
      { name: 'OUTPUT1', parameters: { binary_data: true } },
      { name: 'OUTPUT0', parameters: { binary_data: true } },
    ];
    const { headers, bytes, json } = await post('/v2/models/simple/infer', { ...SIMPLE, outputs });
    expect(headers.get('content-type')).toBe('application/octet-stream');
    const tail = bytes.subarray(Number(headers.get('inference-header-content-length')));
    expect(json['outputs']).toEqual(
      outputs.map(({ name }) => ({
        ...{ name, datatype: 'INT32', shape: [1, 16] },
        parameters: { binary_data_size: 64 },
      })),
    );
    expect([tail.byteLength, tail.readInt32LE(0), tail.readInt32LE(64)]).toEqual([128, -1, 1]);
  });

  it('carries FP16 and any bytes in binary form, in JSON neither', async () => {
    const half = Tensor.from('FP16', [1, 2], [0.5, -2]).bytes;
    const fp16 = binaryRequest('FP16', half, { parameters: { binary_data_output: true } });
    const answer = await post('/v2/models/fp16/infer', fp16.body, fp16.headers);
    expect(answer.bytes.subarray(-4)).toEqual(Buffer.from(half));
    const inJson = binaryRequest('FP16', half);
    for (const reply of [
      await post('/v2/models/fp16/infer', inJson.body, inJson.headers),
      await post('/v2/models/fp16/infer', {
        inputs: [{ name: 'x', datatype: 'FP16', shape: [1, 2], data: [1, 2] }],
      }),
    ]) {
      expect([reply.status, reply.json]).toMatchObject([400, { error: /is FP16, which JSON/ }]);
    }
    const text = binaryRequest('BYTES', Buffer.from([1, 0, 0, 0, 255, 0, 0, 0, 0]));
    const bad = await post('/v2/models/bytes/infer', text.body, text.headers);
    expect([bad.status, bad.json]).toMatchObject([400, { error: /UTF-8/ }]);
  });

  it('takes a body that is one tensor and nothing else', async () => {
    const raw = Buffer.from(Float32Array.of(1, 2, 3, 4).buffer);
    const headers = { 'inference-header-content-length': '0' };
    const { json, bytes } = await post('/v2/models/fp32/infer', raw, headers);
    expect(json['outputs']).toMatchObject([{ shape: [2, 2] }]);
    expect(bytes.subarray(-16)).toEqual(raw);
    const two = await post('/v2/models/simple/infer', raw, headers);
    expect([two.status, two.json]).toMatchObject([
      400,
      {
        error: /^Raw request must only have 1 input \(found 1\) to be deduced but got 2 inputs in/,
      },
    ]);
  });

  it('ranks classes, with labels where the model has them', async () => {
    const request = (name: string) => ({
      inputs: [{ name: 'x', datatype: 'FP32', shape: [2, 2], data: [1, 3, 5, 4] }],
      outputs: [{ name, parameters: { classification: 5 } }],
    });
    expect((await post('/v2/models/labelled/infer', request('y'))).json).toMatchObject({
      outputs: [
        { datatype: 'BYTES', shape: [2, 2], data: ['3:1:yes', '1:0:no', '5:0:no', '4:1:yes'] },
      ],
    });
    expect((await post('/v2/models/fp32/infer', request('y'))).json).toMatchObject({
      outputs: [{ data: ['3:1', '1:0', '5:0', '4:1'] }],
    });
  });

  it('decompresses requests within the bound, and compresses answers that are worth it', async () => {
    const rows = 500;
    const data = Array.from({ length: rows * 2 }, (_, index) => index);
    const body = JSON.stringify({
      inputs: [{ name: 'x', datatype: 'FP32', shape: [rows, 2], data }],
    });
    const response = await fetch(`${gateway.http}/v2/models/fp32/infer`, {
      method: 'POST',
      headers: { 'content-encoding': 'gzip', 'accept-encoding': 'gzip' },
      body: new Uint8Array(gzipSync(body)),
    });
    expect(response.headers.get('content-encoding')).toBe('gzip');
    expect(await response.json()).toMatchObject({ outputs: [{ data }] });
    const bomb = await post('/v2/models/fp32/infer', gzipSync(Buffer.alloc(5_000_000)), {
      'content-encoding': 'gzip',
    });
    expect([bomb.status, bomb.json]).toMatchObject([400, { error: /once decompressed/ }]);
    const strange = await post('/v2/models/fp32/infer', body, { 'content-encoding': 'br' });
    expect([strange.status, strange.headers.get('accept-encoding')]).toEqual([
      501,
      'gzip, deflate',
    ]);
    expect(gunzipSync(gzipSync(body)).toString()).toBe(body);
  });

  it.each([
    [
      'no input at all',
      { inputs: [] },
      /^expected 2 inputs but got 0 inputs for model 'simple'. Got input\(s\) \[\], but missing required input\(s\) \['INPUT0','INPUT1'\]. Please provide all required input\(s\).$/,
    ],
    [
      'another shape',
      { inputs: [{ ...SIMPLE.inputs[0], shape: [1, 15] }, SIMPLE.inputs[1]] },
      /^unexpected shape for input 'INPUT0' for model 'simple'. Expected \[-1,16\], got \[1,15\]$/,
    ],
    [
      'another datatype',
      { inputs: [{ ...SIMPLE.inputs[0], datatype: 'FP32' }, SIMPLE.inputs[1]] },
      /^inference input 'INPUT0' data-type is 'FP32', but model 'simple' expects 'INT32'$/,
    ],
    [
      'an unknown output',
      { ...SIMPLE, outputs: [{ name: 'no' }] },
      /^unexpected inference output 'no' for model 'simple'$/,
    ],
    [
      'an output twice',
      { ...SIMPLE, outputs: [{ name: 'OUTPUT0' }, { name: 'OUTPUT0' }] },
      /^Duplicate output name .OUTPUT0. is not allowed in a request$/,
    ],
    [
      'an input twice',
      { inputs: [SIMPLE.inputs[0], SIMPLE.inputs[0]] },
      /^input 'INPUT0' already exists in request$/,
    ],
    [
      'a shape that overflows',
      { inputs: [{ ...SIMPLE.inputs[0], shape: [2 ** 40, 2 ** 40] }, SIMPLE.inputs[1]] },
      /causes total element count to exceed maximum size of/,
    ],
    [
      'a negative dimension',
      { inputs: [{ ...SIMPLE.inputs[0], shape: [-1, 16] }, SIMPLE.inputs[1]] },
      /expected an integer >= 0/,
    ],
    ['a sequence', { ...SIMPLE, parameters: { sequence_id: 5 } }, /'sequence_id' is not supported/],
    [
      'a reserved parameter',
      { ...SIMPLE, parameters: { triton_x: 1 } },
      /reserved for Triton usage/,
    ],
    ['a bottomless array', '['.repeat(200), /nesting depth exceeds/],
    ['no JSON', 'hello', /^not JSON/],
    ['too much', 'x'.repeat(4_000_001), /expected at most/],
  ])('refuses %s with 400 and says what was expected', async (_what, body, error) => {
    const reply = await post('/v2/models/simple/infer', body);
    expect([reply.status, reply.json]).toMatchObject([400, { error }]);
    expect(reply.headers.get('content-type')).toBe('application/json');
  });

  it.each([
    ['-1', /Inference-Header-Content-Length/],
    ['999999', /Inference-Header-Content-Length/],
    ['18446744073709551616', /Inference-Header-Content-Length/],
    ['2', /inputs: expected an array/],
  ])('refuses a header length of %s', async (length, error) => {
    const { status, json } = await post('/v2/models/simple/infer', Buffer.from('{}and more'), {
      'inference-header-content-length': length,
    });
    expect([status, json]).toMatchObject([400, { error }]);
  });

  it('refuses bytes that are too few, too many, or left over', async () => {
    const size = 8;
    for (const [bytes, more, error] of [
      [
        size - 1,
        {},
        /^input byte size mismatch for input 'x' for model 'fp32'. Expected 8, got 7$/,
      ],
      [size, { inputs: [] }, /^expected 1 inputs but got 0/],
    ] as const) {
      const { body, headers } = binaryRequest('FP32', Buffer.alloc(bytes), more);
      const reply = await post('/v2/models/fp32/infer', body, headers);
      expect([reply.status, reply.json]).toMatchObject([400, { error }]);
    }
    const { body, headers } = binaryRequest('FP32', Buffer.alloc(size));
    for (const [sent, error] of [
      [
        Buffer.concat([body, Buffer.alloc(1)]),
        /^unexpected additional input data for model 'fp32'/,
      ],
      [body.subarray(0, -1), /^unexpected size for input 'x', expecting 1 additional bytes/],
    ] as const) {
      const reply = await post('/v2/models/fp32/infer', sent, headers);
      expect([reply.status, reply.json]).toMatchObject([400, { error }]);
    }
  });

  it('ends a call when its timeout, in microseconds, has passed', async () => {
    const { status, json } = await post('/v2/models/loop/infer', {
      inputs: [{ name: 'trips', datatype: 'INT64', shape: [], data: [2_000_000] }],
      parameters: { timeout: 50_000 },
    });
    expect([status, json]).toMatchObject([504, { error: /no answer within 50 ms/ }]);
  });

  it('gives a call up when its client goes away', async () => {
    const leaving = new AbortController();
    const call = fetch(`${gateway.http}/v2/models/loop/infer`, {
      method: 'POST',
      signal: leaving.signal,
      body: JSON.stringify({
        inputs: [{ name: 'trips', datatype: 'INT64', shape: [], data: [30_000_000] }],
      }),
    });
    const cancelled = async () => /outcome="cancelled"\} (\d+)/.exec(await metrics())?.[1];
    const metrics = async () => (await fetch(gateway.metrics)).text();
    await expect.poll(metrics).toContain('swarm_gateway_requests_in_flight 1');
    leaving.abort();
    await expect(call).rejects.toThrow('aborted');
    await expect.poll(cancelled).toBe('1');
  });

  it('labels metrics with models that exist, never with what a caller wrote', async () => {
    await post('/v2/models/made-up-name/infer', SIMPLE);
    const text = await (await fetch(gateway.metrics)).text();
    expect(text).not.toContain('made-up-name');
    expect(text).toContain(`protocol="rest",model="${publisher}/simple",outcome="answered"`);
    expect(text).toContain('swarm_gateway_ready 1');
  });
});
