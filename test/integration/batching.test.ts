import { Writable } from 'node:stream';
import pino from 'pino';
import { describe, expect, test } from 'vitest';
import { Tensor } from '../../protocols/tensor.ts';
import { createClient } from '../../src/index.ts';
import { buildModel } from '../support/onnx-builder.ts';
import { createTestnet } from '../support/testnet.ts';

/** `y = x · w` with the numbers 0 … n² - 1: heavy enough that requests pile up behind one. */
function matrixModel(size: number): Uint8Array {
  const data = Array.from({ length: size * size }, (_, index) => (index % 7) - 3);
  return buildModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', size] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', size] }],
    nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
    initializers: [{ name: 'w', datatype: 'FP32', shape: [size, size], data }],
  });
}

const SIZE = 64;
const CALLERS = 4;
const REQUESTS = 100;

/** A log, and what it says of the batches of each version that became ready. */
function watchedLog() {
  const findings: { readonly maxRows: number; readonly timings: readonly object[] }[] = [];
  const write = (line: Buffer, _: string, done: () => void): void => {
    const { batches } = JSON.parse(String(line));
    if (batches !== undefined) findings.push(batches);
    done();
  };
  return { findings, logger: pino({ level: 'info' }, new Writable({ write })) };
}

describe('A node that starts again', () => {
  test('knows from before in what batches its versions run', async () => {
    await using testnet = await createTestnet({ nodes: 0, clients: 0 });
    const { findings, logger } = watchedLog();
    const dataDir = `${testnet.folder}/restarted`;
    const node = await testnet.addNode({ dataDir, logger });
    await testnet.publish(matrixModel(SIZE), { name: 'matrix', replicas: 1 });
    await node.stop();
    await testnet.addNode({ dataDir, logger });
    await expect.poll(() => findings.length, { timeout: 20_000 }).toBe(2);
    // Times that were measured anew would not be the same to the last bit.
    expect(findings[1]).toEqual(findings[0]);
    expect(findings[0]?.timings.length).toBeGreaterThan(1);
  });
});

describe('A node under load of many callers', () => {
  test('answers each request by its own rows', async () => {
    await using testnet = await createTestnet({ nodes: 1, clients: 0 });
    const { publisher, name } = await testnet.publish(matrixModel(SIZE), {
      name: 'matrix',
      replicas: 1,
    });
    const clients = await Promise.all(
      Array.from({ length: CALLERS }, () =>
        createClient({
          bootstrap: testnet.bootstrapAddresses,
          network: testnet.network,
          mdns: false,
        }),
      ),
    );
    try {
      const answers = clients.flatMap((client, caller) =>
        Array.from({ length: REQUESTS }, async (_, index) => {
          const rows = 1 + (index % 3);
          const x = Tensor.from(
            'FP32',
            [rows, SIZE],
            Array.from({ length: rows * SIZE }, (_, at) =>
              at % SIZE === index % SIZE ? caller + 1 : 0,
            ),
          );
          const { outputs } = await client.infer(`${publisher}/${name}`, { x });
          const line = Array.from(
            { length: SIZE },
            (_, column) => (caller + 1) * ((((index % SIZE) * SIZE + column) % 7) - 3),
          );
          expect(outputs['y']?.shape).toEqual([rows, SIZE]);
          expect(outputs['y']?.toArray()).toEqual(Array.from({ length: rows }, () => line).flat());
        }),
      );
      await Promise.all(answers);
    } finally {
      await Promise.all(clients.map((client) => client.close()));
    }
  });
});
