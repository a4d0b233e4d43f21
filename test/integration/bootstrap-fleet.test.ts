import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { status } from '@grpc/grpc-js';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type BootstrapInit,
  type BootstrapServer,
  createBootstrapServer,
} from '../../bootstrap/index.ts';
import { formatAddress, type ListenAddress } from '../../src/swarm/listen-address.ts';
import { GrpcCaller } from '../support/grpc-caller.ts';
import { addModel } from '../support/models.ts';
import { createTestFolder } from '../support/test-folder.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** A hook is told some 15 s after the start: who has it listens for others that do first. */
const WAIT = { timeout: 30_000, interval: 50 };
const LOOPBACK: ListenAddress = { host: '127.0.0.1', port: 0 };
const FLEET = { min: 1, max: 5 };
const OBJECT = { name: 'nodes', namespace: 'swarm', scalerMetadata: {} };
const ASKED = { scaledObjectRef: OBJECT, metricName: 'swarm_nodes_wanted' };

/** Prints which of some packages a bootstrap server loads that is given what stands in INIT. */
const PROBE = `
  import { registerHooks } from 'node:module';
  const packages = new Set();
  registerHooks({
    resolve(specifier, context, next) {
      const found = next(specifier, context);
      const name = /node_modules\\/((?:@[^/]+\\/)?[^/]+)\\/(?!.*node_modules)/.exec(found.url)?.[1];
      if (name !== undefined) packages.add(name);
      return found;
    },
  });
  const { createBootstrapServer } = await import('gpu-swarm/bootstrap');
  const logger = { warn() {}, info() {} };
  const server = await createBootstrapServer({ ...JSON.parse(process.env.INIT), logger });
  await server.stop();
  const rare = ['@grpc/grpc-js', '@grpc/reflection', 'prom-client', 'fastify'];
  process.stdout.write(JSON.stringify(rare.filter((name) => packages.has(name))));
`;

async function startBootstrap(
  testnet: Testnet,
  name: string,
  init: Partial<BootstrapInit>,
): Promise<BootstrapServer> {
  return createBootstrapServer({
    dataDir: path.join(testnet.folder, name),
    network: testnet.network,
    bootstrap: testnet.bootstrapAddresses,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    mdns: false,
    logger: pino({ level: 'silent' }),
    ...init,
  });
}

function codeOf({ code }: { code: number }): number {
  return code;
}

describe('A bootstrap server that says how many nodes there are to be', () => {
  let testnet: Testnet;

  beforeAll(async () => {
    testnet = await createTestnet({
      ...{ nodes: 1, clients: 0 },
      node: { scaling: { tickMs: 200 } },
    });
    const deployment = { minReplicas: 3, maxReplicas: 3 };
    const files = { 'swarm.json': JSON.stringify({ deployment }) };
    await testnet.publish(addModel(), { name: 'thrice', replicas: 1, files });
  });
  afterAll(async () => {
    await testnet[Symbol.asyncDispose]();
  });

  it('tells KEDA over gRPC, Prometheus and a program what a gateway would', async () => {
    const told = path.join(testnet.folder, 'told');
    const program = path.join(testnet.folder, 'provision.sh');
    await writeFile(program, `#!/bin/sh\necho "$1 of $2" >> ${told}\n`, { mode: 0o755 });
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
    await expect.poll(() => readFile(told, 'utf8').catch(() => ''), WAIT).toBe('3 of 1\n');
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
  it.each([
    [{}, []],
    [{ metrics: LOOPBACK }, ['prom-client']],
    [{ fleet: FLEET, grpc: LOOPBACK }, ['@grpc/grpc-js', '@grpc/reflection']],
  ])('given %o loads %o of what tells how many nodes there are to be', async (init, expected) => {
    await using folder = await createTestFolder();
    const given = { ...init, dataDir: folder.path, listen: ['/ip4/127.0.0.1/tcp/0'], mdns: false };
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--conditions=swarm-source', '--input-type=module', '--eval', PROBE],
      { cwd: ROOT, timeout: 60_000, env: { ...process.env, INIT: JSON.stringify(given) } },
    );
    expect(JSON.parse(stdout)).toEqual(expected);
  });
});
