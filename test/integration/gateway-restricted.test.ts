import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { status } from '@grpc/grpc-js';
import { expect, it } from 'vitest';
import { GrpcCaller } from '../support/grpc-caller.ts';
import { createTestFolder } from '../support/test-folder.ts';
import { startTestGateway } from '../support/test-gateway.ts';

const PREFIX = 'triton-grpc-protocol-';

it('A gateway answers groups that are restricted to who sends their header alone', async () => {
  await using folder = await createTestFolder();
  const restrictFile = path.join(folder.path, 'restricted');
  await writeFile(
    restrictFile,
    'health:probe=1\nmetadata,model-repository:admin-key=2\ninference:infer-key=3\n',
  );
  await using gateway = await startTestGateway(
    { network: 'restricted', bootstrapAddresses: [] },
    { wait: false, restrictFile, connect: () => Promise.reject(new Error('nobody there')) },
  );
  const ask = async (where: string, headers: Record<string, string>, method = 'GET') =>
    (await fetch(`${gateway.http}${where}`, { method, headers })).status;
  expect(await ask('/v2/health/live', {})).toBe(403);
  expect(await ask('/v2/health/live', { probe: '1' })).toBe(200);
  expect(await ask('/v2', { probe: '1' })).toBe(403);
  expect(await ask('/v2', { 'admin-key': '2' })).toBe(200);
  // What is let in finds that there is no swarm yet.
  for (const [method, where, headers] of [
    ['POST', '/v2/repository/index', { 'admin-key': '2' }],
    ['POST', '/v2/models/m/infer', { 'infer-key': '3' }],
    ['GET', '/v1/models', { 'admin-key': '2' }],
    ['GET', '/v2/models/m/stats', {}],
  ] as const) {
    expect([where, await ask(where, headers, method)]).toEqual([where, 503]);
    if ('admin-key' in headers || 'infer-key' in headers) {
      expect([where, await ask(where, {}, method)]).toEqual([where, 403]);
    }
  }

  using caller = new GrpcCaller(gateway.grpc);
  const refused = { code: status.PERMISSION_DENIED };
  await expect(caller.call('ServerLive', {})).rejects.toMatchObject(refused);
  await expect(caller.call('Check', {})).rejects.toMatchObject(refused);
  const metadata = { [`${PREFIX}probe`]: '1' };
  expect(await caller.call('ServerLive', {}, { metadata })).toEqual({ live: true });
  expect(await caller.call('Check', {}, { metadata })).toEqual({ status: 'NOT_SERVING' });
  const stream = caller.stream('ModelStreamInfer', { metadata });
  const ended = new Promise((resolve) => {
    stream.once('error', resolve);
    stream.resume();
  });
  expect(await ended).toMatchObject({
    ...refused,
    details: `This protocol is restricted, expecting header '${PREFIX}infer-key'`,
  });
});
