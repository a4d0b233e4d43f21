/** What Triton's suite L0_http asserts, each a fact of its own; docs/triton-conformance.md has them in a table. */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Tensor } from '../../src/index.ts';
import { loopModel } from '../support/models.ts';
import { buildModel } from '../support/onnx-builder.ts';
import { startTestGateway, type TestGateway } from '../support/test-gateway.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';
import { TritonCaller } from '../support/triton-caller.ts';
import { identityModel, simpleModel } from '../support/triton-models.ts';

const MAX_BODY_BYTES = 1024 * 1024;

const RAW = { 'inference-header-content-length': '0' };

let testnet: Testnet;
let gateway: TestGateway;
let caller: TritonCaller;

const identityOf = (datatype: 'BYTES' | 'FP32' | 'INT64', shape: (number | string)[]) =>
  buildModel({
    inputs: [{ name: 'x', datatype, shape }],
    outputs: [{ name: 'y', datatype, shape }],
    nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
  });

beforeAll(async () => {
  testnet = await createTestnet({ nodes: 1, clients: 0 });
  await testnet.publish(simpleModel(), { name: 'simple' });
  await testnet.publish(identityModel('FP32'), { name: 'fp32' });
  await testnet.publish(identityOf('BYTES', [1]), { name: 'one-text' });
  await testnet.publish(identityOf('BYTES', ['rows', 2]), { name: 'texts' });
  await testnet.publish(identityOf('FP32', ['batch', 'rows', 'columns']), { name: 'free' });
  await testnet.publish(identityOf('INT64', [1, 1]), { name: 'one-integer' });
  const deployment = { deployment: { maxBatch: 1, maxQueued: 1 } };
  const files = { 'swarm.json': JSON.stringify(deployment) };
  await testnet.publish(loopModel(), { name: 'loop', files });
  gateway = await startTestGateway(testnet, { maxBodyBytes: MAX_BODY_BYTES });
  caller = new TritonCaller(gateway);
});
afterAll(async () => {
  caller?.[Symbol.dispose]();
  await gateway?.[Symbol.asyncDispose]();
  await testnet?.[Symbol.asyncDispose]();
});

const floats = (count: number) =>
  new Uint8Array(Float32Array.from({ length: count }, (_, index) => index).buffer);

const x = (more: object) => ({
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2], ...more }],
});

const nested = (depth: number, value: string) => '['.repeat(depth) + value + ']'.repeat(depth);

const ONES = Array.from({ length: 16 }, () => 1);

describe('Raw requests', () => {
  it('L0_http: a body that is one tensor comes back as bytes, of any length', async () => {
    for (const count of [8, 32]) {
      const { status, tail } = await caller.post('/v2/models/fp32/infer', floats(count), RAW);
      expect([status, tail]).toEqual([200, Buffer.from(floats(count))]);
    }
  });

  it('L0_http: a body that is one text comes back with its length before it', async () => {
    const { status, tail } = await caller.post('/v2/models/one-text/infer', '427', RAW);
    expect([status, tail]).toEqual([200, Buffer.from('\u0003\0\0\u0000427')]);
  });

  it('L0_http: a body that is one text is refused by a model that takes several', async () => {
    const { status, json } = await caller.post('/v2/models/texts/infer', '427', RAW);
    expect([status, json]).toEqual([
      ...[400, { error: "For BYTE datatype raw input 'x', the model must have input shape [1]" }],
    ]);
  });

  it('L0_http: a body whose shape has more than one free dimension is refused', async () => {
    const { status, json } = await caller.post('/v2/models/free/infer', floats(4), RAW);
    const error =
      "The shape of the raw input 'x' can not be deduced because there are more than one variable-sized dimension";
    expect([status, json]).toEqual([400, { error }]);
  });

  it('L0_http: a body that would be several inputs is refused', async () => {
    const { status, json } = await caller.post('/v2/models/simple/infer', floats(24), RAW);
    const error = expect.stringContaining(
      'Raw request must only have 1 input (found 1) to be deduced but got 2 inputs in',
    );
    expect([status, json]).toEqual([400, { error }]);
  });

  it('L0_http: a body that comes in chunks, of no length that is told, is taken', async () => {
    const chunks = [floats(8).subarray(0, 5), floats(8).subarray(5)];
    const body = new ReadableStream({
      pull(stream) {
        const chunk = chunks.shift();
        if (chunk === undefined) stream.close();
        else stream.enqueue(chunk);
      },
    });
    const { status, tail } = await caller.post('/v2/models/fp32/infer', body, RAW);
    expect([status, tail]).toEqual([200, Buffer.from(floats(8))]);
  });
});

describe('Requests that are wrong', () => {
  it('L0_http: a product of dimensions that overflows is refused with 400', async () => {
    const { status, json } = await caller.post(
      '/v2/models/fp32/infer',
      x({ shape: [2 ** 40, 2 ** 40] }),
    );
    const error = expect.stringContaining('causes total element count to exceed maximum size of');
    expect([status, json]).toEqual([400, { error }]);
  });

  it('L0_http: a tensor whose bytes overflow is refused with 400', async () => {
    const body =
      '{"inputs":[{"name":"x","datatype":"FP32","shape":[4,1152921504606846978],"data":[1]}]}';
    const { status, json } = await caller.post('/v2/models/fp32/infer', body);
    expect([status, json]).toEqual([
      ...[400, { error: expect.stringContaining('1152921504606846978') }],
    ]);
  });

  it('L0_http: a negative dimension is refused', async () => {
    const { status, json } = await caller.post('/v2/models/fp32/infer', x({ shape: [2, -5] }));
    expect([status, json]).toEqual([400, { error: expect.stringContaining('-5') }]);
  });

  it('L0_http: JSON of more than 100 levels is refused, and data of more than a tensor has', async () => {
    for (const [model, datatype, value] of [
      ['one-text', 'BYTES', '"hello"'],
      ['one-integer', 'INT64', '123'],
    ] as const) {
      const levels = datatype === 'BYTES' ? 1 : 2;
      const shape = nested(1, Array(levels).fill('1').join(','));
      const ask = (depth: number) =>
        caller.post(
          `/v2/models/${model}/infer`,
          `{"inputs":[{"name":"x","datatype":"${datatype}","shape":${shape},"data":${nested(depth, value)}}]}`,
        );
      const error = 'JSON nesting depth exceeds maximum allowed limit (100)';
      expect(await ask(120)).toMatchObject({ status: 400, json: { error } });
      expect(await ask(50)).toMatchObject({ status: 400 });
      expect(await ask(levels)).toMatchObject({ status: 200 });
    }
  });

  it('L0_http: an output that is asked for twice is refused, and the server lives', async () => {
    const outputs = [{ name: 'y' }, { name: 'y' }];
    const { status, json } = await caller.post('/v2/models/fp32/infer', { ...x({}), outputs });
    const error = "Duplicate output name 'y' is not allowed in a request";
    expect([status, json]).toEqual([400, { error }]);
    expect(await caller.get('/v2/health/live')).toMatchObject({ status: 200 });
  });

  it('L0_http: a length of the JSON that is no number, or beyond the body, is refused', async () => {
    for (const length of ['-1', '999999', 'junk', '2147483648', '18446744073709551616']) {
      const headers = { 'inference-header-content-length': length };
      const { status, json } = await caller.post('/v2/models/fp32/infer', x({}), headers);
      expect([status, json]).toEqual([
        ...[400, { error: expect.stringContaining('Inference-Header-Content-Length') }],
      ]);
    }
  });

  it('L0_http: a body above the bound is refused, at the bound it is taken', async () => {
    const rest = MAX_BODY_BYTES - JSON.stringify(x({})).length;
    const atBound = `${JSON.stringify(x({}))}${' '.repeat(rest)}`;
    expect(await caller.post('/v2/models/fp32/infer', atBound)).toMatchObject({ status: 200 });
    const raw = new Uint8Array(MAX_BODY_BYTES + 8);
    for (const reply of [
      await caller.post('/v2/models/fp32/infer', `${atBound} `),
      await caller.post('/v2/models/fp32/infer', raw, RAW),
      await caller.post('/v2/repository/models/fp32/load', raw),
    ]) {
      expect(reply).toMatchObject({
        ...{ status: 400, json: { error: expect.stringContaining(`${MAX_BODY_BYTES} bytes`) } },
      });
    }
  });

  it('L0_http: an unknown path is 404, an unknown method 405, each with a text', async () => {
    expect(await caller.get('/v2/nothing')).toMatchObject({
      ...{ status: 404, json: { error: 'Not Found' } },
    });
    expect(await caller.get('/v2/models/fp32/infer')).toMatchObject({
      ...{ status: 405, json: { error: 'Method Not Allowed' } },
    });
  });

  it('L0_http: a queue that is full is 503', async () => {
    const leaving = new AbortController();
    const body = JSON.stringify({
      inputs: [{ name: 'trips', datatype: 'INT64', shape: [], data: [50_000_000] }],
    });
    const fill = () =>
      caller
        .get('/v2/models/loop/infer', { method: 'POST', body, signal: leaving.signal })
        .catch(({ name }: Error) => name);
    const waiting = [fill(), fill()];
    const held = async () => (await caller.get('/v2/models/loop/infer', busy)).status;
    const busy = {
      method: 'POST',
      body: JSON.stringify({ ...JSON.parse(body), parameters: { timeout: 300_000 } }),
    };
    await expect.poll(held, { timeout: 20_000 }).toBe(503);
    leaving.abort();
    expect(await Promise.all(waiting)).toEqual(['AbortError', 'AbortError']);
  });
});

describe('Generate', () => {
  it('L0_http: generate takes inputs as keys, and answers with outputs as keys', async () => {
    const body = { INPUT0: ONES, INPUT1: ONES };
    expect(await caller.post('/v2/models/simple/generate', body)).toMatchObject({
      status: 200,
      json: { model_name: 'simple', OUTPUT0: ONES.map(() => 2), OUTPUT1: ONES.map(() => 0) },
    });
    expect(await caller.post('/v2/models/one-text/generate', { x: 'hello' })).toMatchObject({
      ...{ status: 200, json: { y: 'hello' } },
    });
  });

  it('L0_http: generate tells which inputs are missing, and of a value that is none', async () => {
    expect(await caller.post('/v2/models/simple/generate', { INPUT0: ONES })).toMatchObject({
      status: 400,
      json: { error: expect.stringContaining("missing required input(s) ['INPUT1']") },
    });
    expect(await caller.post('/v2/models/one-text/generate', { x: { no: 1 } })).toMatchObject({
      ...{ status: 400, json: { error: expect.any(String) } },
    });
    expect(await caller.post('/v2/models/one-text/generate', 'no JSON')).toMatchObject({
      ...{ status: 400, json: { error: expect.stringMatching(/^not JSON/) } },
    });
  });

  it('L0_http: generate_stream sends events of data, without a closing mark', async () => {
    const response = await fetch(`${gateway.http}/v2/models/one-text/generate_stream`, {
      ...{ method: 'POST', body: '{"x":"hello"}' },
    });
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(await response.text()).toMatch(/^data: \{[^\n]*"y":"hello"\}\n\n$/);
  });

  it('L0_http: generate_stream that fails before it begins answers JSON and a status', async () => {
    const { status, headers, json } = await caller.post('/v2/models/simple/generate_stream', {});
    expect([status, headers.get('content-type')]).toEqual([400, 'application/json']);
    expect(json).toEqual({ error: expect.stringContaining('missing required input(s)') });
  });
});

it('L0_http: a group that is restricted answers 403 without its header, and the others all', async () => {
  const restrictFile = path.join(testnet.folder, 'restricted');
  await writeFile(restrictFile, 'inference:infer-key=value\n');
  await using restricted = await startTestGateway(testnet, { restrictFile });
  using asking = new TritonCaller(restricted);
  const ask = (headers: Record<string, string>) =>
    asking.post('/v2/models/fp32/infer', x({}), headers);
  const error = "This API is restricted, expecting header 'infer-key'";
  expect(await ask({})).toMatchObject({ status: 403, json: { error } });
  expect(await ask({ 'infer-key': 'other' })).toMatchObject({ status: 403 });
  expect(await ask({ 'infer-key': 'value' })).toMatchObject({ status: 200 });
  expect(await asking.get('/v2/models/fp32/stats')).toMatchObject({ status: 200 });
});

it('L0_http: FP16 in JSON is refused, with the advice to send bytes', async () => {
  const half = { inputs: [{ ...x({}).inputs[0], datatype: 'FP16' }] };
  await testnet.publish(identityModel('FP16'), { name: 'fp16' });
  const { status, json } = await caller.post('/v2/models/fp16/infer', half);
  expect([status, json]).toEqual([400, { error: expect.stringContaining('binary tensor data') }]);
  const bytes = Buffer.from(Tensor.from('FP16', [1, 2], [0.5, -2]).bytes);
  const sent = { datatype: 'FP16', shape: [1, 2], bytes } as const;
  expect(await caller.identityOverHttp('fp16', sent)).toEqual({ shape: [1, 2], bytes });
});
