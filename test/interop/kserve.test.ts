import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PYTHON_CLIENTS_ABSENT, runPython } from '../support/python-tools.ts';
import { startTestGateway, type TestGateway } from '../support/test-gateway.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';
import { SIMPLE_SETTINGS, simpleModel } from '../support/triton-models.ts';

const COUNT = Array.from({ length: 16 }, (_, index) => index);

const SUMS = [[COUNT.map((n) => n + 1)], [COUNT.map((n) => n - 1)]];

describe.skipIf(PYTHON_CLIENTS_ABSENT !== undefined)(
  `KServe's own clients (${PYTHON_CLIENTS_ABSENT ?? 'kserve'})`,
  () => {
    let testnet: Testnet;
    let gateway: TestGateway;
    let seen: Readonly<Record<'rest' | 'grpc', object>>;

    beforeAll(async () => {
      testnet = await createTestnet({ nodes: 1, clients: 0 });
      const files = { 'swarm.json': SIMPLE_SETTINGS };
      await testnet.publish(simpleModel(), { name: 'simple', files });
      gateway = await startTestGateway(testnet);
      const addresses = { http: gateway.http, grpc: gateway.grpc };
      const told = await runPython('kserve_client.py', addresses, { list: 'clients' });
      seen = told as typeof seen;
    });
    afterAll(async () => {
      await gateway?.[Symbol.asyncDispose]();
      await testnet?.[Symbol.asyncDispose]();
    });

    test('read health as JSON, run a model in JSON and in binary form, and show our own message of a failure', () => {
      expect(seen.rest).toEqual({
        health: [true, true, true],
        json: SUMS,
        binary: SUMS,
        unknown: expect.stringContaining("Request for unknown model: 'nothing' is not found"),
      });
    });

    test('do the same over gRPC, typed and raw', () => {
      expect(seen.grpc).toEqual({
        health: [true, true, true],
        id: 'mine',
        typed: SUMS,
        binary: SUMS,
        unknown: expect.stringContaining("Request for unknown model: 'nothing' is not found"),
      });
    });
  },
);
