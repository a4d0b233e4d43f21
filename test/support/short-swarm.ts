import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import pino from 'pino';
import {
  type BootstrapInit,
  type BootstrapServer,
  createBootstrapServer,
} from '../../bootstrap/index.ts';
import { addModel } from './models.ts';
import { createTestnet, type Testnet } from './testnet.ts';

/** A swarm of one node and a version that wants three: two nodes are missing. */
export async function createShortSwarm(): Promise<Testnet> {
  const testnet = await createTestnet({
    ...{ nodes: 1, clients: 0 },
    node: { scaling: { tickMs: 200 } },
  });
  const deployment = { minReplicas: 3, maxReplicas: 3 };
  const files = { 'swarm.json': JSON.stringify({ deployment }) };
  await testnet.publish(addModel(), { name: 'thrice', replicas: 1, files });
  return testnet;
}

/** One more bootstrap server of a swarm, on loopback; its caller stops it. */
export async function startBootstrap(
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

/** A program that is told how many nodes there are to be, and what it was told, one line an order. */
export interface ProvisionHook {
  readonly program: string;
  readonly told: () => Promise<readonly string[]>;
}

export async function writeHook({ folder }: Testnet): Promise<ProvisionHook> {
  const program = path.join(folder, 'provision.sh');
  await writeFile(program, '#!/bin/sh\necho "$1 of $2" >> "$0.told"\n', { mode: 0o755 });
  const told = async (): Promise<readonly string[]> =>
    (await readFile(`${program}.told`, 'utf8').catch(() => '')).split('\n').slice(0, -1);
  return { program, told };
}
