import { once } from 'node:events';
import { connect } from 'node:net';
import pino from 'pino';
import { expect, it } from 'vitest';
import { startTestGateway } from '../support/test-gateway.ts';
import { createTestnet } from '../support/testnet.ts';
import { identityModel } from '../support/triton-models.ts';

/** Of FP32 [n, 2]: more than the buffers of a connection hold, all answers together. */
const ROWS = 500_000;
const REQUESTS = 5;

it('A client that reads nothing of its answers is dropped, and others are answered meanwhile', async () => {
  await using testnet = await createTestnet({ nodes: 1, clients: 0 });
  await testnet.publish(identityModel('FP32'), { name: 'fp32' });
  const lines: string[] = [];
  const logger = pino({ level: 'debug' }, { write: (line) => lines.push(line) });
  await using gateway = await startTestGateway(testnet, { readerTimeoutMs: 500, logger });
  const json = JSON.stringify({
    inputs: [
      {
        ...{ name: 'x', datatype: 'FP32', shape: [ROWS, 2] },
        parameters: { binary_data_size: ROWS * 8 },
      },
    ],
    outputs: [{ name: 'y', parameters: { binary_data: true } }],
  });
  const { hostname, port } = new URL(gateway.http);
  const socket = connect(Number(port), hostname);
  socket.pause();
  for (let index = 0; index < REQUESTS; index += 1) {
    socket.write(
      [
        'POST /v2/models/fp32/infer HTTP/1.1',
        'host: gateway',
        `inference-header-content-length: ${json.length}`,
        `content-length: ${json.length + ROWS * 8}`,
        `\r\n${json}`,
      ].join('\r\n'),
    );
    socket.write(Buffer.alloc(ROWS * 8));
  }
  const told = () => lines.filter((line) => line.includes('no answer was read for 500 ms'));
  await expect.poll(told, { timeout: 60_000 }).not.toEqual([]);
  expect((await fetch(`${gateway.http}/v2/health/live`)).status).toBe(200);
  let received = 0;
  socket.on('data', ({ byteLength }) => (received += byteLength));
  // Where it was reset, and not only closed, it says so.
  socket.on('error', () => undefined);
  socket.resume();
  await once(socket, 'close');
  expect(received).toBeLessThan(REQUESTS * ROWS * 8);
});
