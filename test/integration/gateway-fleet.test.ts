import { once } from 'node:events';
import { createServer } from 'node:http';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GrpcCaller } from '../support/grpc-caller.ts';
import { createShortSwarm, writeHook } from '../support/short-swarm.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import type { Testnet } from '../support/testnet.ts';

/** A hook is told some 15 s after the start: who has it listens for others that do first. */
const WAIT = { timeout: 30_000, interval: 50 };
const FLEET = { min: 1, max: 5 };
const OBJECT = { name: 'nodes', namespace: 'swarm', scalerMetadata: {} };

describe('A gateway that says how many nodes there are to be', () => {
  let testnet: Testnet;

  beforeAll(async () => {
    testnet = await createShortSwarm();
  });
  afterAll(async () => {
    await testnet[Symbol.asyncDispose]();
  });

  it('tells KEDA an absolute number, of which it divides none, and Prometheus the same', async () => {
    await using gateway = await startTestGateway(testnet, { fleet: FLEET });
    using caller = new GrpcCaller(gateway.grpc);
    const wanted = async (): Promise<unknown> => {
      const asked = { scaledObjectRef: OBJECT, metricName: 'swarm_nodes_wanted' };
      return caller.call('GetMetrics', asked).catch(({ code }: { code: number }) => code);
    };
    await expect.poll(wanted, WAIT).toEqual({
      metricValues: [{ metricName: 'swarm_nodes_wanted', metricValue: '3', metricValueFloat: 3 }],
    });
    expect(await caller.call('GetMetricSpec', OBJECT)).toEqual({
      metricSpecs: [{ metricName: 'swarm_nodes_wanted', targetSize: '1', targetSizeFloat: 1 }],
    });
    expect(await caller.call('IsActive', OBJECT)).toEqual({ result: true });
    const stream = caller.watch('StreamIsActive', OBJECT);
    for await (const active of stream) {
      expect(active).toEqual({ result: true });
      break;
    }
    const metrics = await (await fetch(gateway.metrics)).text();
    expect(metrics).toMatch(/^swarm_nodes_wanted 3$/m);
    expect(metrics).toMatch(/^swarm_nodes_present 1$/m);
  });

  it('has a program told, and an address', async () => {
    const { program, told } = await writeHook(testnet);
    const bodies: string[] = [];
    const server = createServer((request, response) => {
      void (async () => {
        let body = '';
        for await (const chunk of request) body += String(chunk);
        bodies.push(`${request.method} ${body}`);
        response.end();
      })();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    try {
      await using first = await startTestGateway(testnet, { fleet: FLEET, provision: program });
      await using second = await startTestGateway(testnet, {
        ...{ fleet: FLEET, provision: `http://127.0.0.1:${port}/` },
      });
      expect([first, second].every(({ gateway }) => gateway.ready)).toBe(true);
      await expect.poll(() => bodies, WAIT).toEqual(['POST {"present":1,"wanted":3}']);
      await expect.poll(told, WAIT).toEqual(['3 of 1']);
    } finally {
      server.close();
    }
  });

  it('says nothing while it sees nobody, and is not asked where no --fleet-max is given', async () => {
    await using silent = await startTestGateway(testnet, { fleet: FLEET });
    await using none = await startTestGateway(testnet, {});
    using asked = new GrpcCaller(silent.grpc);
    using other = new GrpcCaller(none.grpc);
    await expect(other.call('IsActive', OBJECT)).rejects.toMatchObject({
      code: status.UNIMPLEMENTED,
    });
    const name = 'externalscaler.ExternalScaler';
    expect((await asked.reflection()).includes(name)).toBe(true);
    expect((await other.reflection()).includes(name)).toBe(false);
    await expect
      .poll(() => asked.call('IsActive', OBJECT).catch(() => undefined), WAIT)
      .toEqual({ result: true });
    await Promise.all(testnet.nodes.map((node) => node.stop()));
    await expect
      .poll(() => asked.call('IsActive', OBJECT).catch(({ code }: { code: number }) => code), WAIT)
      .toBe(status.UNAVAILABLE);
    expect(await (await fetch(silent.metrics)).text()).toMatch(/^swarm_nodes_wanted NaN$/im);
  });
});
