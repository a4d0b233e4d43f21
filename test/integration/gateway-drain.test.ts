import { once } from 'node:events';
import { connect } from 'node:net';
import { status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { createClient } from '../../src/index.ts';
import { GrpcCaller } from '../support/grpc-caller.ts';
import { addModel, loopModel } from '../support/models.ts';
import { present } from '../support/present.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import { createTestnet } from '../support/testnet.ts';
import { identityModel } from '../support/triton-models.ts';

/** Room for one small model, whose process has some 75 MiB for itself, and not for two. */
const ROOM_FOR_ONE = 150 * 1024 * 1024;

/** Text of which the buffers of a connection's two ends hold a part. */
const LONG = 'x'.repeat(20_000_000);

const SUM = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4], data: [1, 2, 3, 4] }] };

const post = (url: string, body: object) =>
  fetch(url, { method: 'POST', body: JSON.stringify(body) });

async function readiness(http: string): Promise<{ status: number; error?: string }> {
  const response = await fetch(`${http}/v2/health/ready`);
  const { error } = (await response.json()) as { error?: string };
  return { status: response.status, ...(error === undefined ? {} : { error }) };
}

describe('A gateway', () => {
  it('is alive without a swarm, not ready, and joins when there is one', async () => {
    await using testnet = await createTestnet({ nodes: 1, clients: 0 });
    await testnet.publish(addModel(), { name: 'sum' });
    let reachable = false;
    await using gateway = await startTestGateway(testnet, {
      wait: false,
      connect: async () => {
        if (!reachable) throw new Error('nobody there');
        return createClient({ network: testnet.network, bootstrap: testnet.bootstrapAddresses });
      },
    });
    expect((await fetch(`${gateway.http}/v2/health/live`)).status).toBe(200);
    expect(await readiness(gateway.http)).toEqual({
      ...{ status: 503, error: 'the gateway has not joined the swarm yet' },
    });
    const early = await post(`${gateway.http}/v2/models/sum/infer`, SUM);
    expect([early.status, await early.json()]).toEqual([
      503,
      { error: 'the gateway has not joined the swarm yet' },
    ]);
    reachable = true;
    await expect.poll(() => readiness(gateway.http), { timeout: 20_000 }).toEqual({ status: 200 });
    expect((await post(`${gateway.http}/v2/models/sum/infer`, SUM)).status).toBe(200);
  });

  it('is not ready while a model it must serve is not served, nor when none is', async () => {
    await using testnet = await createTestnet({ nodes: 1, clients: 0 });
    await using empty = await startTestGateway(testnet, { wait: false });
    await expect
      .poll(() => readiness(empty.http), { timeout: 20_000 })
      .toEqual({ status: 503, error: 'no node serves a model' });
    await testnet.publish(addModel(), { name: 'sum' });
    await expect.poll(() => readiness(empty.http), { timeout: 20_000 }).toEqual({ status: 200 });
    await using strict = await startTestGateway(testnet, {
      wait: false,
      requireModels: ['sum', 'other'],
    });
    await expect
      .poll(() => readiness(strict.http), { timeout: 20_000 })
      .toEqual({
        ...{ status: 503, error: "Request for unknown model: 'other' is not found" },
      });
    await testnet.publish(addModel(2), { name: 'other' });
    await expect.poll(() => readiness(strict.http), { timeout: 20_000 }).toEqual({ status: 200 });
  });

  it('is ready while its model is on the disk of a node alone, which loads it for who asks', async () => {
    await using testnet = await createTestnet({
      nodes: 1,
      clients: 0,
      node: { maxMemoryBytes: ROOM_FOR_ONE },
    });
    const { cid } = await testnet.publish(addModel(1), { name: 'sum' });
    await testnet.publish(addModel(2), { name: 'other' });
    expect(present(testnet.nodes[0]).replicas.get(cid)?.state).toBe('cold');
    await using gateway = await startTestGateway(testnet, { requireModels: ['sum'] });
    expect((await fetch(`${gateway.http}/v2/models/sum/ready`)).status).toBe(200);
    expect((await post(`${gateway.http}/v2/models/sum/infer`, SUM)).status).toBe(200);
  });

  it('drains in order: not ready, serving on, then finishing what is in flight, failing nothing', async () => {
    await using testnet = await createTestnet({ nodes: 1, clients: 0 });
    await testnet.publish(addModel(), { name: 'sum' });
    await testnet.publish(loopModel(), { name: 'loop' });
    await using gateway = await startTestGateway(testnet);
    using caller = new GrpcCaller(gateway.grpc);
    const outcomes: string[] = [];
    let sending = true;
    const worker = async (): Promise<void> => {
      while (sending) {
        const response = await post(`${gateway.http}/v2/models/sum/infer`, SUM);
        outcomes.push(`${response.status} ${response.headers.get('connection')}`);
        await response.arrayBuffer();
        // What a load balancer does: no requests to who is not ready.
        if ((await readiness(gateway.http)).status !== 200) sending = false;
      }
    };
    const workers = [worker(), worker(), worker(), worker()];
    await expect.poll(() => outcomes.length, { timeout: 20_000 }).toBeGreaterThan(20);
    const stream = caller.stream('ModelStreamInfer');
    const ended = new Promise<unknown>((resolve) => {
      stream.once('error', resolve);
      stream.resume();
    });
    const watched: unknown[] = [];
    const watching = (async () => {
      for await (const message of caller.watch('Watch', { service: '' })) watched.push(message);
    })().catch((error: unknown) => error);
    await expect.poll(() => watched, { timeout: 20_000 }).toHaveLength(1);
    const slow = post(`${gateway.http}/v2/models/loop/infer`, {
      inputs: [{ name: 'trips', datatype: 'INT64', shape: [], data: [1_500_000] }],
    });
    const metrics = async () => (await fetch(gateway.metrics)).text();
    await expect.poll(metrics).toMatch(/_in_flight [1-5]/);
    const drained = gateway.gateway.drain({ delayMs: 2_000, timeoutMs: 20_000 });
    await Promise.all(workers);
    expect(outcomes.filter((outcome) => !outcome.startsWith('200'))).toEqual([]);
    const late = await post(`${gateway.http}/v2/models/sum/infer`, SUM);
    expect([late.status, late.headers.get('connection')]).toEqual([200, 'close']);
    const { status: code, ok } = await slow;
    expect([code, ok]).toEqual([200, true]);
    await drained;
    expect(await ended).toMatchObject({ code: status.UNAVAILABLE });
    expect(await watching).toMatchObject({ code: status.UNAVAILABLE });
    expect(watched).toEqual([{ status: 'SERVING' }, { status: 'NOT_SERVING' }]);
    await expect(fetch(`${gateway.http}/v2/health/live`)).rejects.toThrow('fetch failed');
  });

  it.each([
    ['an event stream', 'generate_stream', { x: [[LONG, 'end']] }, /,"end"\]\}\n\n\r\n0\r\n\r\n$/],
    [
      'an answer',
      'infer',
      { inputs: [{ name: 'x', datatype: 'BYTES', shape: [1, 2], data: [LONG, 'end'] }] },
      /,"end"\]\}\]\}$/,
    ],
  ])(
    'closes the connection of %s that was begun before it drains, once all of it is read',
    async (...row) => {
      const [, method, body, end] = row;
      await using testnet = await createTestnet({ nodes: 1, clients: 0 });
      await testnet.publish(identityModel('BYTES'), { name: 'bytes' });
      await using gateway = await startTestGateway(testnet);
      const { hostname, port } = new URL(gateway.http);
      const socket = connect(Number(port), hostname);
      const text = JSON.stringify(body);
      socket.write(
        `POST /v2/models/bytes/${method} HTTP/1.1\r\nhost: x\r\ncontent-length: ${text.length}\r\n\r\n${text}`,
      );
      const [first] = await once(socket.setEncoding('latin1'), 'data');
      socket.pause();
      let read = String(first);
      expect(read).toMatch(/^HTTP\/1.1 200 OK\r\n/);
      expect(read).not.toMatch(/^connection: close/im);
      const drained = gateway.gateway.drain({ delayMs: 0, timeoutMs: 60_000 });
      const refused = () =>
        fetch(`${gateway.http}/v2/health/live`).then(
          () => 'answered',
          () => 'refused',
        );
      await expect.poll(refused, { timeout: 20_000 }).toBe('refused');
      const ended = once(socket, 'end', { signal: AbortSignal.timeout(20_000) });
      socket.on('data', (chunk) => (read += String(chunk))).resume();
      await ended;
      expect(read.slice(-40)).toMatch(end);
      await drained;
    },
  );

  it('cuts off what is not finished in time', async () => {
    await using testnet = await createTestnet({ nodes: 1, clients: 0 });
    await testnet.publish(loopModel(), { name: 'loop' });
    await using gateway = await startTestGateway(testnet);
    const slow = post(`${gateway.http}/v2/models/loop/infer`, {
      inputs: [{ name: 'trips', datatype: 'INT64', shape: [], data: [60_000_000] }],
    });
    const failed = slow.then(
      () => 'answered',
      ({ message }: Error) => message,
    );
    const metrics = async () => (await fetch(gateway.metrics)).text();
    await expect.poll(metrics).toContain('swarm_gateway_requests_in_flight 1');
    await gateway.gateway.drain({ delayMs: 0, timeoutMs: 100 });
    expect(await failed).toBe('fetch failed');
  });
});
