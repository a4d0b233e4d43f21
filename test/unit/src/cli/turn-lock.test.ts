import { spawn } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { takeTurn } from '../../../../src/cli/turn-lock.ts';
import { refusal } from '../../../support/refusal.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

const signal = new AbortController().signal;
const options = { holder: 'swarm release set', signal };

/** Another process that takes the turn of a folder and says so; it then sleeps. */
async function startHolder(folder: string) {
  const lock = new URL('../../../../src/cli/turn-lock.ts', import.meta.url).href;
  const program = `
    import { takeTurn } from ${JSON.stringify(lock)};
    await takeTurn(${JSON.stringify(folder)}, { holder: 'swarm publish', signal: new AbortController().signal });
    console.log('taken');
    setInterval(() => {}, 1000);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('error', reject);
  });
  return {
    pid: child.pid ?? 0,
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

describe('takeTurn', () => {
  it('lets one in at a time, whoever comes', async () => {
    await using folder = await createTestFolder();
    let inside = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        await using _turn = await takeTurn(folder.path, options);
        inside += 1;
        most = Math.max(most, inside);
        await new Promise(setImmediate);
        inside -= 1;
      }),
    );
    expect(most).toBe(1);
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('says which process has it, and since when', async () => {
    await using folder = await createTestFolder();
    const holder = await startHolder(folder.path);
    try {
      await expect(takeTurn(folder.path, { ...options, waitMs: 200 })).rejects.toEqual(
        refusal(
          'ERR_STORE',
          new RegExp(
            `^process ${holder.pid} \\(swarm publish, since 20.*Z\\) is signing a release of this model`,
          ),
        ),
      );
    } finally {
      await holder.kill();
    }
  });

  it('takes the turn of a process that was killed', async () => {
    await using folder = await createTestFolder();
    const holder = await startHolder(folder.path);
    await holder.kill();
    expect(await readdir(folder.path)).toHaveLength(1);
    const turn = await takeTurn(folder.path, { ...options, waitMs: 0 });
    expect(await readdir(folder.path)).toHaveLength(1);
    await turn[Symbol.asyncDispose]();
    expect(await readdir(folder.path)).toEqual([]);
  });

  it.skipIf(process.platform !== 'linux')(
    'takes the turn of a process whose number was given again (Linux alone tells when a process started)',
    async () => {
      await using folder = await createTestFolder();
      const own = await takeTurn(folder.path, options);
      const [name = ''] = await readdir(folder.path);
      await own[Symbol.asyncDispose]();
      const earlier = name.replace(/^(\d+)-\d+-/, '$1-1-');
      await writeFile(path.join(folder.path, earlier), '');
      await using _turn = await takeTurn(folder.path, { ...options, waitMs: 0 });
      expect(await readdir(folder.path)).not.toContain(earlier);
    },
  );

  it('believes a process of another machine to live, and says what to remove', async () => {
    await using folder = await createTestFolder();
    const name = `1-1-${'a'.repeat(12)}@${'b'.repeat(16)}`;
    await writeFile(path.join(folder.path, name), '');
    await expect(takeTurn(folder.path, { ...options, waitMs: 0 })).rejects.toEqual(
      refusal('ERR_STORE', new RegExp(`^process 1 is signing .*, remove .*${name}$`)),
    );
  });

  it('leaves alone what is no turn, and gives up when told to', async () => {
    await using folder = await createTestFolder();
    await mkdir(path.join(folder.path, 'something'));
    await using _turn = await takeTurn(folder.path, options);
    const ending = AbortSignal.abort(new DOMException('enough', 'AbortError'));
    await expect(takeTurn(folder.path, { ...options, signal: ending })).rejects.toThrow('enough');
  });
});
