import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { loopModel } from '../support/models.ts';
import { present } from '../support/present.ts';
import { startTestGateway, type TestGateway } from '../support/test-gateway.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';
import { simpleModel } from '../support/triton-models.ts';

let testnet: Testnet;
let gateway: TestGateway;

beforeAll(async () => {
  testnet = await createTestnet({ nodes: 1, clients: 0 });
  await testnet.publish(simpleModel(), { name: 'simple' });
  gateway = await startTestGateway(testnet);
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await testnet?.[Symbol.asyncDispose]();
});

const ONES = Array.from({ length: 16 }, () => 1);

const post = (path: string, body: object, init: RequestInit = {}) =>
  fetch(`${gateway.http}/v2/models/${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
    ...init,
  });

describe('The generate extension', () => {
  it('runs a model on plain values', async () => {
    const response = await post('simple/generate', { id: 'mine', INPUT0: ONES, INPUT1: ONES });
    expect([response.status, await response.json()]).toEqual([
      200,
      {
        ...{ id: 'mine', model_name: 'simple', model_version: '1' },
        ...{ OUTPUT0: ONES.map(() => 2), OUTPUT1: ONES.map(() => 0) },
      },
    ]);
  });

  it('streams the answer as an event that nothing on the way holds back', async () => {
    const response = await post(
      'simple/generate_stream',
      { INPUT0: ONES, INPUT1: ONES },
      { headers: { 'accept-encoding': 'gzip' } },
    );
    expect(Object.fromEntries(response.headers)).toMatchObject({
      ...{ 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' },
      'cache-control': 'no-cache, no-transform',
    });
    expect(response.headers.has('content-encoding')).toBe(false);
    const [, json = ''] = /^data: (.*)\n\n$/.exec(await response.text()) ?? [];
    expect(JSON.parse(json)).toMatchObject({ model_name: 'simple', OUTPUT0: ONES.map(() => 2) });
  });

  it('ends the stream with what it took, where that is asked for, and nowhere else', async () => {
    const body = { INPUT0: ONES, INPUT1: ONES, stream_options: { include_usage: true } };
    const events = (await (await post('simple/generate_stream', body)).text()).split('\n\n');
    expect(events).toHaveLength(3);
    expect(JSON.parse(events[1]?.slice('data: '.length) ?? '')).toEqual({
      usage: {
        ...{ input_bytes: 128, output_bytes: 128 },
        ...{ queue_ms: expect.any(Number), execute_ms: expect.any(Number) },
      },
    });
    const without = await post('simple/generate_stream', { ...body, stream_options: {} });
    expect((await without.text()).split('\n\n')).toHaveLength(2);
    for (const [path, options, message] of [
      ['generate', { include_usage: true }, /only for generate_stream/],
      ['generate_stream', { include_usage: 1 }, /include_usage: expected true or false, found 1/],
    ] as const) {
      const refused = await post(`simple/${path}`, { ...body, stream_options: options });
      const { error } = (await refused.json()) as { error: string };
      expect([refused.status, error]).toEqual([400, expect.stringMatching(message)]);
    }
  });

  it.each([
    ['simple', { INPUT0: ONES }, 400, /^expected 2 inputs but got 1/],
    ['nothing', {}, 404, /^Request for unknown model/],
  ])('tells in JSON and by its status what is wrong with a request to %s', async (...row) => {
    const [model, body, status, message] = row;
    for (const path of [`${model}/generate`, `${model}/generate_stream`]) {
      const response = await post(path, body);
      const { error } = (await response.json()) as { error: string };
      expect([response.status, response.headers.get('content-type')]).toEqual([
        ...[status, 'application/json'],
      ]);
      expect(error).toMatch(message);
    }
  });

  it('ends the run on the node when the client of a stream goes away', async () => {
    const { cid } = await testnet.publish(loopModel(), { name: 'loop' });
    const queue = () => present(testnet.nodes[0]).replicas.get(cid)?.queue?.load();
    const leaving = new AbortController();
    const busy = [1, 2].map(() =>
      post('loop/generate_stream', { trips: 3_000_000 }, { signal: leaving.signal }).catch(
        ({ name }: Error) => name,
      ),
    );
    const wait = { timeout: 20_000, interval: 20 };
    await vi.waitFor(() => expect(queue()).toMatchObject({ inFlight: 1, queued: 1 }), wait);
    leaving.abort();
    expect(await Promise.all(busy)).toEqual(['AbortError', 'AbortError']);
    await vi.waitFor(() => expect(queue()).toMatchObject({ queued: 0 }), wait);
    const metrics = async () => (await fetch(gateway.metrics)).text();
    await expect.poll(metrics, { timeout: 20_000 }).toMatch(/outcome="cancelled"} 2/);
  });
});
