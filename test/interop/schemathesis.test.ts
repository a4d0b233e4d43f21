import { describe, expect, test } from 'vitest';
import { embeddingFiles, embeddingModel } from '../support/embedding-model.ts';
import { PYTHON_CLIENTS_ABSENT, runPython } from '../support/python-tools.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import { createTestnet } from '../support/testnet.ts';
import { simpleModel } from '../support/triton-models.ts';

describe.skipIf(PYTHON_CLIENTS_ABSENT !== undefined)(
  `Schemathesis (${PYTHON_CLIENTS_ABSENT ?? 'schemathesis'})`,
  () => {
    test('finds no answer that the OpenAPI document does not describe, and no 500', async () => {
      await using testnet = await createTestnet({ nodes: 1, clients: 0 });
      await testnet.publish(simpleModel(), { name: 'simple' });
      await testnet.publish(embeddingModel(), { name: 'words', files: embeddingFiles() });
      await using gateway = await startTestGateway(testnet);
      const told = await runPython(
        'schemathesis_run.py',
        { http: gateway.http, examples: 12 },
        { list: 'clients', timeoutMs: 110_000 },
      );
      expect(told).toMatchObject({ status: 0, told: expect.stringMatching(/operations/i) });
    });
  },
);
