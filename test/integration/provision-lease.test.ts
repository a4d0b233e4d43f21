import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { generateKeyPair } from '@libp2p/crypto/keys';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBootstrapServer } from '../../bootstrap/index.ts';
import { createClient } from '../../src/client/client.ts';
import { peerIdText } from '../../src/swarm/identity.ts';
import { addModel } from '../support/models.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

const FLEET = { min: 1, max: 5 };

/** From the start to the first order: three looks of 2 s each, then 7.5 s of listening. */
const WAIT = { timeout: 30_000, interval: 50 };

/** Less than a lease of 15 s: who leaves says so, and nobody has to wait for its end. */
const TAKEOVER = { timeout: 10_000, interval: 50 };

/** Milliseconds of the whole test: it waits for nothing to happen three times. */
const TEST_TIMEOUT_MS = 120_000;

/** Several looks, and a heartbeat: whoever wrongly believes that it is its turn has told by then. */
const QUIET_MS = 6_000;

/** One who has the hook. */
interface Teller {
  readonly id: string;
  stop(): Promise<void>;
}

async function startGateway(testnet: Testnet, provision: string): Promise<Teller> {
  const privateKey = await generateKeyPair('Ed25519');
  const { network, bootstrapAddresses: bootstrap } = testnet;
  const gateway = await startTestGateway(testnet, {
    connect: () => createClient({ network, bootstrap, privateKey, mode: 'full' }),
    fleet: FLEET,
    provision,
  });
  return { id: peerIdText(privateKey), stop: async () => gateway[Symbol.asyncDispose]() };
}

async function startBootstrap(testnet: Testnet, provision: string): Promise<Teller> {
  const server = await createBootstrapServer({
    dataDir: path.join(testnet.folder, 'teller'),
    network: testnet.network,
    bootstrap: testnet.bootstrapAddresses,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    mdns: false,
    logger: pino({ level: 'silent' }),
    fleet: FLEET,
    provision,
  });
  return { id: server.id, stop: () => server.stop() };
}

describe.skipIf(process.platform === 'win32')('Two gateways and a bootstrap server', () => {
  let testnet: Testnet;
  let program = '';
  const told = async (): Promise<readonly string[]> =>
    (await readFile(`${program}.told`, 'utf8').catch(() => '')).split('\n').slice(0, -1);

  beforeAll(async () => {
    testnet = await createTestnet({
      ...{ nodes: 1, clients: 0 },
      node: { scaling: { tickMs: 200 } },
    });
    const deployment = { minReplicas: 3, maxReplicas: 3 };
    const files = { 'swarm.json': JSON.stringify({ deployment }) };
    await testnet.publish(addModel(), { name: 'thrice', replicas: 1, files });
    program = path.join(testnet.folder, 'provision.sh');
    await writeFile(program, '#!/bin/sh\necho "$1 of $2" >> "$0.told"\n', { mode: 0o755 });
  });
  afterAll(async () => {
    await testnet[Symbol.asyncDispose]();
  });

  it('with one hook have it told once, and once more by the next when the one that told it stops', {
    timeout: TEST_TIMEOUT_MS,
  }, async () => {
    const tellers = await Promise.all([
      startGateway(testnet, program),
      startGateway(testnet, program),
      startBootstrap(testnet, program),
    ]);
    const inTurn = tellers.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    try {
      await expect.poll(told, WAIT).toEqual(['3 of 1']);
      await delay(QUIET_MS);
      expect(await told()).toEqual(['3 of 1']);
      await inTurn[2]?.stop();
      await delay(QUIET_MS);
      expect(await told()).toEqual(['3 of 1']);
      await inTurn[0]?.stop();
      await expect.poll(told, TAKEOVER).toEqual(['3 of 1', '3 of 1']);
      await delay(QUIET_MS);
      expect(await told()).toEqual(['3 of 1', '3 of 1']);
    } finally {
      await Promise.all(tellers.map((teller) => teller.stop()));
    }
  });
});
