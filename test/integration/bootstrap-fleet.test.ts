import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { status } from '@grpc/grpc-js';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBootstrapServer } from '../../bootstrap/index.ts';
import { formatAddress, type ListenAddress } from '../../src/swarm/listen-address.ts';
import { GrpcCaller } from '../support/grpc-caller.ts';
import { loadedPackages } from '../support/loaded-packages.ts';
import { refusal } from '../support/refusal.ts';
import { createShortSwarm, startBootstrap, writeHook } from '../support/short-swarm.ts';
import { createTestFolder } from '../support/test-folder.ts';
import type { Testnet } from '../support/testnet.ts';

/** A hook is told some 15 s after the start: who has it listens for others that do first. */
const WAIT = { timeout: 30_000, interval: 50 };
const LOOPBACK: ListenAddress = { host: '127.0.0.1', port: 0 };
const FLEET = { min: 1, max: 5 };
const OBJECT = { name: 'nodes', namespace: 'swarm', scalerMetadata: {} };
const ASKED = { scaledObjectRef: OBJECT, metricName: 'swarm_nodes_wanted' };

/** Starts and stops a bootstrap server that is given what stands in INIT. */
const PROGRAM = `
  const { createBootstrapServer } = await import('gpu-swarm/bootstrap');
  const logger = { warn() {}, info() {} };
  const server = await createBootstrapServer({ ...JSON.parse(process.env.INIT), logger });
  await server.stop();
`;

/** What a bootstrap server has no use for unless it is asked. */
const RARE = ['@grpc/grpc-js', '@grpc/reflection', 'prom-client', 'fastify'];

function codeOf({ code }: { code: number }): number {
  return code;
}

describe('A bootstrap server that says how many nodes there are to be', () => {
  let testnet: Testnet;

  beforeAll(async () => {
    testnet = await createShortSwarm();
  });
  afterAll(async () => {
    await testnet[Symbol.asyncDispose]();
  });

  it('tells KEDA over gRPC, Prometheus and a program what a gateway would', async () => {
    const { program, told } = await writeHook(testnet);
    await using server = await startBootstrap(testnet, 'all', {
      ...{ fleet: FLEET, grpc: LOOPBACK, metrics: LOOPBACK, provision: program },
    });
    const { grpc = LOOPBACK, metrics = LOOPBACK } = server.fleetAddresses;
    using caller = new GrpcCaller(formatAddress(grpc));
    const read = async (): Promise<string> =>
      (await fetch(`http://${formatAddress(metrics)}/metrics`)).text();
    expect(await read()).toMatch(/^swarm_nodes_wanted NaN$/im);
    await expect
      .poll(() => caller.call('GetMetrics', ASKED).catch(codeOf), WAIT)
      .toEqual({
        metricValues: [{ metricName: 'swarm_nodes_wanted', metricValue: '3', metricValueFloat: 3 }],
      });
    expect(await caller.call('IsActive', OBJECT)).toEqual({ result: true });
    expect((await caller.reflection()).includes('externalscaler.ExternalScaler')).toBe(true);
    expect(await read()).toMatch(/^swarm_nodes_wanted 3$/m);
    expect(await read()).toMatch(/^swarm_nodes_present 1$/m);
    expect(await read()).toMatch(/^process_resident_memory_bytes \d/m);
    await expect.poll(told, WAIT).toEqual(['3 of 1']);
  });

  it('answers that it cannot say while it sees no node, and ends its streams when it stops', async () => {
    await using server = await startBootstrap(testnet, 'alone', {
      ...{ fleet: FLEET, grpc: LOOPBACK, bootstrap: [], network: `${testnet.network}-other` },
    });
    using caller = new GrpcCaller(formatAddress(server.fleetAddresses.grpc ?? LOOPBACK));
    expect(server.fleetAddresses.metrics).toBeUndefined();
    await expect(caller.call('IsActive', OBJECT)).rejects.toMatchObject({
      code: status.UNAVAILABLE,
    });
    const stream = caller.watch('StreamIsActive', OBJECT)[Symbol.asyncIterator]();
    const next = stream.next();
    next.catch(() => undefined);
    // A second call on the same connection is answered only once the stream before it was taken in.
    await caller.call('GetMetricSpec', OBJECT);
    await server.stop();
    await expect(next).rejects.toMatchObject({ code: status.UNAVAILABLE });
  });

  it.each([{ provision: '/bin/true' }, { grpc: LOOPBACK }])(
    'refuses %o without a number of nodes to tell',
    async (init) => {
      await expect(startBootstrap(testnet, 'refused', init)).rejects.toMatchObject({
        code: 'ERR_CONFIG',
      });
    },
  );
});

describe('A bootstrap server', () => {
  it('refuses to start with a hook that cannot be run, before it makes anything', async () => {
    await using folder = await createTestFolder();
    const dataDir = path.join(folder.path, 'data');
    const provision = path.join(folder.path, 'gone');
    await expect(
      createBootstrapServer({
        dataDir,
        fleet: FLEET,
        provision,
        logger: pino({ level: 'silent' }),
      }),
    ).rejects.toEqual(refusal('ERR_CONFIG', /^--provision '.*' does not exist, expected/));
    expect(await readdir(folder.path)).toEqual([]);
  });

  it.each([
    [{}, []],
    [{ metrics: LOOPBACK }, ['prom-client']],
    [{ fleet: FLEET, grpc: LOOPBACK }, ['@grpc/grpc-js', '@grpc/reflection']],
  ])('given %o loads %o of what tells how many nodes there are to be', async (init, expected) => {
    await using folder = await createTestFolder();
    const given = { ...init, dataDir: folder.path, listen: ['/ip4/127.0.0.1/tcp/0'], mdns: false };
    const loaded = await loadedPackages(PROGRAM, { INIT: JSON.stringify(given) });
    expect(RARE.filter((name) => loaded.includes(name))).toEqual(expected);
  });
});
