import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApiKey } from '../../src/gateway/access/api-key-file.ts';
import { writeDurably } from '../../src/swarm/durable-file.ts';
import { GrpcCaller } from '../support/grpc-caller.ts';
import { addModel } from '../support/models.ts';
import { startTestGateway, type TestGateway } from '../support/test-gateway.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

let testnet: Testnet;
let gateway: TestGateway;
let folder: string;
let keyFile: string;
let sum: string;

const any = createApiKey({});
const admin = createApiKey({ admin: true });
const slow = createApiKey({ requestsPerSecond: 0.01 });
let narrow: ReturnType<typeof createApiKey>;

const write = (keys: object) => writeDurably(keyFile, Buffer.from(JSON.stringify(keys)), 0o600);

beforeAll(async () => {
  testnet = await createTestnet({ nodes: 1, clients: 0 });
  const { publisher } = await testnet.publish(addModel(), { name: 'sum' });
  sum = `${publisher}/sum`;
  await testnet.publish(addModel(2), { name: 'other' });
  folder = await mkdtemp(path.join(os.tmpdir(), 'gpu-swarm-test-'));
  keyFile = path.join(folder, 'api-keys.json');
  narrow = createApiKey({ models: [sum] });
  await write({ any: any.entry, slow: slow.entry, admin: admin.entry, narrow: narrow.entry });
  gateway = await startTestGateway(testnet, { keyFile });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await testnet?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const ask = (path: string, key?: string, init: RequestInit = {}) =>
  fetch(`${gateway.http}${path}`, {
    ...init,
    headers: key === undefined ? {} : { authorization: `Bearer ${key}` },
  });

const infer = (model: string, key: string) =>
  ask(`/v2/models/${model}/infer`, key, {
    method: 'POST',
    body: JSON.stringify({
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4], data: [1, 2, 3, 4] }],
    }),
  });

describe('A gateway with API keys', () => {
  it('answers nobody without one, but probes', async () => {
    expect((await ask('/v2/health/live')).status).toBe(200);
    expect((await ask('/v2/health/ready')).status).toBe(200);
    for (const key of [undefined, 'swarm_wrong', `${any.text}x`]) {
      const response = await ask('/v2', key);
      expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    }
    expect((await ask('/v2', any.text)).status).toBe(200);
  });

  it('keeps no key', async () => {
    expect(JSON.stringify(any.entry)).not.toContain(any.text);
  });

  it('lets a key ask for its models alone, and hear of no other', async () => {
    expect((await infer(sum, narrow.text)).status).toBe(200);
    expect((await infer('other', narrow.text)).status).toBe(403);
    const index = await ask('/v2/repository/index', narrow.text, { method: 'POST' });
    expect(await index.json()).toMatchObject([{ name: sum }]);
    const models = await ask('/v1/models', narrow.text);
    expect(await models.json()).toMatchObject({ object: 'list', data: [{ id: sum }] });
  });

  it('lets a key ask as often as its rate says, and tells when to come back', async () => {
    expect((await ask('/v2', slow.text)).status).toBe(200);
    const again = await ask('/v2', slow.text);
    expect([again.status, Number(again.headers.get('retry-after'))]).toEqual([
      429,
      expect.any(Number),
    ]);
  });

  it('tells clients of OpenAI in their own form', async () => {
    const response = await ask('/v1/models');
    expect([response.status, await response.json()]).toMatchObject([
      401,
      { error: { message: /no API key/, type: 'authentication_error', param: null } },
    ]);
    const chat = await ask('/v1/chat/completions', any.text, {
      method: 'POST',
      body: JSON.stringify({ model: 'nothing', messages: [] }),
    });
    expect([chat.status, chat.headers.get('x-should-retry'), await chat.json()]).toMatchObject([
      ...[404, 'false', { error: { code: 'model_not_found' } }],
    ]);
    const known = await ask('/v1/completions', any.text, {
      method: 'POST',
      body: JSON.stringify({ model: sum, prompt: '' }),
    });
    expect([known.status, await known.json()]).toMatchObject([
      ...[501, { error: { message: /does not generate text/ } }],
    ]);
    const one = await ask(`/v1/models/${sum}`, any.text);
    expect(await one.json()).toMatchObject({ id: sum, object: 'model' });
  });

  it('asks gRPC callers for one too, but health checks', async () => {
    using caller = new GrpcCaller(gateway.grpc);
    expect(await caller.call('Check', { service: '' })).toEqual({ status: 'SERVING' });
    expect(await caller.call('ServerLive', {})).toEqual({ live: true });
    await expect(caller.call('ServerMetadata', {})).rejects.toMatchObject({
      code: status.UNAUTHENTICATED,
    });
    const metadata = { authorization: `Bearer ${any.text}` };
    expect(await caller.call('ModelReady', { name: sum }, { metadata })).toEqual({ ready: true });
  });

  it('loads and unloads models for an admin alone, for this gateway alone', async () => {
    const change = (what: string, key: string, body = {}) =>
      ask(`/v2/repository/models/${sum}/${what}`, key, {
        method: 'POST',
        body: JSON.stringify(body),
      });
    expect((await change('unload', any.text)).status).toBe(403);
    expect((await infer(sum, any.text)).status).toBe(200);
    const stateOf = async () => {
      const index = await ask('/v2/repository/index', admin.text, { method: 'POST' });
      return ((await index.json()) as { name: string }[]).find(({ name }) => name === sum);
    };
    const unloaded = await change('unload', admin.text, {
      parameters: { unload_dependents: false },
    });
    expect([unloaded.status, await unloaded.json()]).toEqual([200, {}]);
    const refused = await infer(sum, any.text);
    expect([refused.status, await refused.json()]).toEqual([
      404,
      { error: `Request for unknown model: '${sum}' has no available versions` },
    ]);
    expect(await stateOf()).toMatchObject({ state: 'UNAVAILABLE', reason: 'unloaded' });
    expect((await infer('other', any.text)).status).toBe(200);
    const upload = await change('load', admin.text, { parameters: { config: '{}' } });
    expect([upload.status, (await infer(sum, any.text)).status]).toEqual([501, 404]);
    expect((await change('load', admin.text)).status).toBe(200);
    expect((await infer(sum, any.text)).status).toBe(200);
    expect(await stateOf()).toMatchObject({ state: 'READY', reason: '' });
    const nothing = await ask('/v2/repository/models/nothing/load', admin.text, { method: 'POST' });
    expect(nothing.status).toBe(404);
  });

  it('loads and unloads over gRPC too', async () => {
    using caller = new GrpcCaller(gateway.grpc);
    const metadata = { authorization: `Bearer ${admin.text}` };
    const request = { model_name: 'other' };
    await expect(
      caller.call('RepositoryModelUnload', request, {
        metadata: { authorization: `Bearer ${any.text}` },
      }),
    ).rejects.toMatchObject({ code: status.PERMISSION_DENIED });
    expect(await caller.call('RepositoryModelUnload', request, { metadata })).toEqual({});
    expect((await infer('other', any.text)).status).toBe(404);
    const upload = {
      ...request,
      parameters: { 'file:1/model.onnx': { bytes_param: Buffer.from('x') } },
    };
    await expect(caller.call('RepositoryModelLoad', upload, { metadata })).rejects.toMatchObject({
      code: status.UNIMPLEMENTED,
    });
    expect(await caller.call('RepositoryModelLoad', request, { metadata })).toEqual({});
    expect((await infer('other', any.text)).status).toBe(200);
  });

  it('refuses a key that was revoked, and opens to nobody when that was the last', async () => {
    await write({});
    await expect.poll(async () => (await ask('/v2', any.text)).status).toBe(401);
    expect((await ask('/v2')).status).toBe(401);
  });
});
