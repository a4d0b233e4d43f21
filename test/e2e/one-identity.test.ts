import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SwarmProcess } from '../../src/cli/up/swarm-process.ts';
import { ownEnvironment } from '../support/own-environment.ts';
import { runSwarm, startDaemon } from '../support/swarm-command.ts';
import { createTestFolder } from '../support/test-folder.ts';

const NOBODY = '/ip4/127.0.0.1/tcp/9/p2p/12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo';

const GATEWAY = [
  ...['gateway', '--bootstrap', NOBODY, '--no-mdns', '--data', 'data', '--log-level', 'silent'],
  ...['--http', '127.0.0.1:0', '--grpc', 'off', '--metrics', 'off', '--drain-delay', '0', '--json'],
];

describe('Two processes', () => {
  let folder: Awaited<ReturnType<typeof createTestFolder>>;

  beforeEach(async () => {
    folder = await createTestFolder();
  });
  afterEach(() => folder[Symbol.asyncDispose]());

  const startGateway = (...more: readonly string[]) =>
    new SwarmProcess({
      name: 'gateway',
      args: [...GATEWAY, ...more],
      env: ownEnvironment(),
      cwd: folder.path,
    });

  it.each(['node', 'bootstrap'])(
    'are never two of `swarm %s` with one data folder',
    async (role) => {
      const data = ['--data', path.join(folder.path, 'data'), '--listen', '/ip4/127.0.0.1/tcp/0'];
      await using first = await startDaemon([role, ...data], folder.path);
      const second = await runSwarm([role, ...data, '--no-mdns'], { cwd: folder.path });
      expect(second).toMatchObject({ code: 1, stdout: '' });
      expect(second.stderr).toMatch(/^error: .* in use by another process: .* \(ERR_STORE\)\n$/);
      await first.stop();
      await using third = await startDaemon([role, ...data], folder.path);
      expect(third.id).toBe(first.id);
    },
  );

  it('are two gateways with one data folder, each with an identity of its own', async () => {
    const gateways = [startGateway(), startGateway()];
    try {
      const ready = gateways.map((gateway) => gateway.ready(AbortSignal.timeout(60_000)));
      const [first, second] = await Promise.all(ready);
      expect(first?.id).not.toBe(second?.id);
    } finally {
      await Promise.all(gateways.map((gateway) => gateway.stop()));
    }
  });

  it('are never two gateways with one identity, but one after the other, also when the first was killed', async () => {
    const identity = ['--identity', 'gateway.key'];
    const first = startGateway(...identity);
    try {
      const { id } = await first.ready(AbortSignal.timeout(60_000));
      const second = await runSwarm([...GATEWAY, ...identity], { cwd: folder.path });
      expect(second.code).toBe(1);
      expect(second.events).toMatchObject([{ event: 'error', code: 'ERR_STORE' }]);
      expect(second.events[0]?.['message']).toMatch(
        new RegExp(`^process ${first.pid} \\(swarm gateway, since .*\\) has the identity ${id}`),
      );
      await first.kill();
      const third = startGateway(...identity);
      expect(await third.ready(AbortSignal.timeout(60_000))).toMatchObject({ id });
      await third.stop();
    } finally {
      await first.stop();
    }
  });

  it('are not hindered where nobody can say whether there is another', async () => {
    await writeFile(path.join(folder.path, 'no-folder'), '');
    const gateway = new SwarmProcess({
      name: 'gateway',
      args: [...GATEWAY, '--identity', 'gateway.key'],
      env: { ...ownEnvironment(), TMPDIR: path.join(folder.path, 'no-folder') },
      cwd: folder.path,
    });
    await gateway.ready(AbortSignal.timeout(60_000));
    await gateway.stop();
  });
});
