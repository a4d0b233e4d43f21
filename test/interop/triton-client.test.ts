import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PYTHON_PACKAGES_ABSENT, runPython } from '../support/python-tools.ts';
import { startTestGateway, type TestGateway } from '../support/test-gateway.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';
import { identityModel, SIMPLE_SETTINGS, simpleModel } from '../support/triton-models.ts';

/** What `triton_client.py` tells of one client. */
type Seen = Readonly<Record<string, unknown>>;

interface AllSeen {
  readonly http: Seen;
  readonly grpc: Seen;
  readonly aio: { readonly http: Seen; readonly grpc: Seen };
}

const COUNT = Array.from({ length: 16 }, (_, index) => index);

const SUMS = [[COUNT.map((n) => n + 1)], [COUNT.map((n) => n - 1)]];

const EIGHT_SUMS = Array.from({ length: 8 }, () => SUMS);

describe.skipIf(PYTHON_PACKAGES_ABSENT !== undefined)(
  `Triton's own clients (${PYTHON_PACKAGES_ABSENT ?? 'tritonclient'})`,
  () => {
    let testnet: Testnet;
    let gateway: TestGateway;
    let seen: AllSeen;

    beforeAll(async () => {
      testnet = await createTestnet({ nodes: 1, clients: 0 });
      const files = { 'swarm.json': SIMPLE_SETTINGS };
      await testnet.publish(simpleModel(), { name: 'simple', files });
      for (const datatype of ['FP16', 'FP32', 'INT64', 'BYTES'] as const) {
        await testnet.publish(identityModel(datatype), { name: datatype.toLowerCase() });
      }
      gateway = await startTestGateway(testnet);
      const http = gateway.http.replace('http://', '');
      seen = (await runPython('triton_client.py', { http, grpc: gateway.grpc })) as AllSeen;
    });
    afterAll(async () => {
      await gateway?.[Symbol.asyncDispose]();
      await testnet?.[Symbol.asyncDispose]();
    });

    test.each(['http', 'grpc'] as const)(
      'find over %s what the server and a model are',
      (client) => {
        expect(seen[client]).toMatchObject({
          health: [true, true, true],
          metadata: expect.arrayContaining(['binary_tensor_data', 'statistics']),
          model: { name: 'simple', platform: 'onnxruntime_onnx', versions: ['1'] },
          config: 8,
          index: ['READY', 'READY', 'READY', 'READY', 'READY'],
          statistics: true,
        });
      },
    );

    test.each(['http', 'grpc'] as const)('run models over %s on every kind of tensor', (client) => {
      expect(seen[client]).toMatchObject({
        binary: SUMS,
        classes: ['16:15', '15:14'],
        identities: {
          FP16: '[[0.5, -2.0]]',
          FP32: '[[nan, inf]]',
          INT64: '[[9223372036854775807, -9007199254740993]]',
          BYTES: String.raw`[[b'a\xc3\xb1b', b'']]`,
        },
      });
    });

    test('run models over http in JSON, and at once', () => {
      expect(seen.http).toMatchObject({
        json: SUMS,
        async: EIGHT_SUMS,
        quoted: '[[nan, -inf]]',
      });
    });

    test.each(['http', 'grpc'] as const)('run models over %s on compressed requests', (client) => {
      expect(seen[client]).toMatchObject({ compressed: { gzip: SUMS, deflate: SUMS } });
    });

    test('run models over a stream, in order, a failure apart', () => {
      expect(seen.grpc).toMatchObject({
        stream: ['0', '1', '2', '3', '4', '5', '6', '7'],
        streamed: true,
        stream_error: [expect.stringContaining("unknown model: 'nothing'")],
      });
    });

    test.each(['http', 'grpc'] as const)('run models over %s with asyncio', (client) => {
      expect(seen.aio[client]).toEqual({ live: true, answers: EIGHT_SUMS });
    });

    test('are answered right, all of them, when many call at once as perf_analyzer does', async () => {
      const http = gateway.http.replace('http://', '');
      const load = { http, grpc: gateway.grpc, callers: 8, requests: 50 };
      const found = await runPython('triton_load.py', load, { timeoutMs: 120_000 });
      const all = { answered: 400, wrong: 0, failures: [] };
      expect(found).toMatchObject({ http: all, grpc: all });
    });

    test.each([
      ['http', '404', '400'],
      ['grpc', 'StatusCode.NOT_FOUND', 'StatusCode.INVALID_ARGUMENT'],
    ] as const)('are told over %s what is wrong', (client, notFound, invalid) => {
      expect(seen[client]).toMatchObject({
        unknown: {
          status: notFound,
          message: "Request for unknown model: 'nothing' is not found",
        },
        missing: {
          status: invalid,
          message:
            "expected 2 inputs but got 1 inputs for model 'simple'. Got input(s) ['INPUT0'], but missing required input(s) ['INPUT1']. Please provide all required input(s).",
        },
      });
    });
  },
);
