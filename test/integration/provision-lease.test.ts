import { setTimeout as delay } from 'node:timers/promises';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient } from '../../src/client/client.ts';
import { peerIdText } from '../../src/swarm/identity.ts';
import { createShortSwarm, startBootstrap, writeHook } from '../support/short-swarm.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import type { Testnet } from '../support/testnet.ts';

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

async function startServer(testnet: Testnet, provision: string): Promise<Teller> {
  const server = await startBootstrap(testnet, 'teller', { fleet: FLEET, provision });
  return { id: server.id, stop: () => server.stop() };
}

describe.skipIf(process.platform === 'win32')('Two gateways and a bootstrap server', () => {
  let testnet: Testnet;

  beforeAll(async () => {
    testnet = await createShortSwarm();
  });
  afterAll(async () => {
    await testnet[Symbol.asyncDispose]();
  });

  it('with one hook have it told once, and once more by the next when the one that told it stops', {
    timeout: TEST_TIMEOUT_MS,
  }, async () => {
    const { program, told } = await writeHook(testnet);
    const tellers = await Promise.all([
      startGateway(testnet, program),
      startGateway(testnet, program),
      startServer(testnet, program),
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
