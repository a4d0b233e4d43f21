import pino from 'pino';
import { vi } from 'vitest';
import { createClient } from '../../src/client/client.ts';
import { type Gateway, startGateway } from '../../src/gateway/gateway.ts';
import type { GatewayInit } from '../../src/gateway/gateway-init.ts';
import type { Testnet } from './testnet.ts';

const LOOPBACK = { host: '127.0.0.1', port: 0 };

const WAIT = { timeout: 20_000, interval: 20 };

/** A gateway of a testnet, ready, on free ports of loopback. */
export interface TestGateway extends AsyncDisposable {
  readonly gateway: Gateway;
  /** `http://127.0.0.1:<port>` */
  readonly http: string;
  /** `127.0.0.1:<port>` */
  readonly grpc: string;
  readonly metrics: string;
}

/** Starts a gateway and resolves when it is ready; `wait: false` for one that is not meant to be. */
export async function startTestGateway(
  testnet: Pick<Testnet, 'network' | 'bootstrapAddresses'>,
  init: Partial<GatewayInit> & { readonly wait?: boolean } = {},
): Promise<TestGateway> {
  const gateway = await startGateway({
    connect: () =>
      createClient({ network: testnet.network, bootstrap: testnet.bootstrapAddresses }),
    http: LOOPBACK,
    grpc: LOOPBACK,
    metrics: LOOPBACK,
    version: '0.0.0-test',
    logger: pino({ level: 'silent' }),
    ...init,
  });
  const { http, grpc, metrics } = gateway.addresses;
  if (init.wait !== false) await vi.waitUntil(() => gateway.ready, WAIT);
  return {
    gateway,
    http: `http://127.0.0.1:${http?.port}`,
    grpc: `127.0.0.1:${grpc?.port}`,
    metrics: `http://127.0.0.1:${metrics?.port}/metrics`,
    [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose](),
  };
}
