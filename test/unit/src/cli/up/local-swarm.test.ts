import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { LocalSwarm, type LocalSwarmInit } from '../../../../../src/cli/up/local-swarm.ts';
import { SwarmProcess } from '../../../../../src/cli/up/swarm-process.ts';
import { ownEnvironment } from '../../../../support/own-environment.ts';
import { refusal } from '../../../../support/refusal.ts';
import { createTestFolder } from '../../../../support/test-folder.ts';

function init(over: Partial<LocalSwarmInit> = {}): LocalSwarmInit {
  return {
    nodes: 1,
    network: 'test',
    data: undefined,
    allowPublishers: [],
    threads: 1,
    env: ownEnvironment(),
    onReady: () => undefined,
    onLost: () => undefined,
    ...over,
  };
}

describe('LocalSwarm', () => {
  it.each([0, 17, 1.5])('refuses %d nodes', async (nodes) => {
    await expect(LocalSwarm.create(init({ nodes }))).rejects.toEqual(
      refusal('ERR_CONFIG', `--nodes is ${nodes}, expected an integer from 1 to 16`),
    );
  });

  it('removes the folder it made, and leaves one it was given', async () => {
    const own = await LocalSwarm.create(init());
    expect((await stat(own.folder)).mode & 0o777).toBe(0o700);
    await own.publisherKey();
    await own.stop();
    await own.stop();
    expect(existsSync(own.folder)).toBe(false);

    await using folder = await createTestFolder();
    const given = await LocalSwarm.create(init({ data: path.join(folder.path, 'swarm') }));
    await given.publisherKey();
    await given.stop();
    expect(existsSync(given.keyFile)).toBe(true);
  });

  it('starts a process that serves on loopback, tells when it is lost, and ends it', async () => {
    const ready: string[] = [];
    const lost: string[] = [];
    await using swarm = await LocalSwarm.create(
      init({
        // Neither the user's settings nor their file are meant for the swarm's processes.
        env: { ...ownEnvironment(), SWARM_CONFIG: '/gone.json', SWARM_LOG_LEVEL: 'nonsense' },
        onReady: ({ name, address }) => ready.push(`${name} ${address}`),
        onLost: (name) => lost.push(name),
      }),
    );
    const { pid, id } = await swarm.startBootstrap(AbortSignal.timeout(20_000));
    expect(ready).toEqual([
      expect.stringMatching(/^bootstrap \/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/12D3/),
    ]);
    expect(swarm.nameOf(id)).toBe('bootstrap');
    expect(swarm.nameOf('stranger')).toBe('stranger');
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => lost, { timeout: 10_000 }).toEqual(['bootstrap']);
    expect(swarm.members).toEqual([]);
  });
});

describe('SwarmProcess', () => {
  it('says why a process could not start: what it said, and how it ended', async () => {
    const child = new SwarmProcess({
      name: 'node-1',
      args: ['node', '--threads', '0', '--json'],
      env: ownEnvironment(),
      cwd: '/',
    });
    await expect(child.ready(AbortSignal.timeout(20_000))).rejects.toEqual(
      refusal(
        'ERR_INTERNAL',
        /^node-1 could not start.*--threads is "0", expected an integer from 1/,
      ),
    );
    await expect(child.ended).resolves.toBe('exit code 2');
    expect(child.running).toBe(false);
    await child.stop();
  });

  it('gives up when its signal aborts', async () => {
    const child = new SwarmProcess({
      name: 'x',
      args: ['--version'],
      env: ownEnvironment(),
      cwd: '/',
    });
    await expect(child.ready(AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
    await child.kill();
  });
});
