import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { ownEnvironment } from '../support/own-environment.ts';
import { runSwarm, SWARM } from '../support/swarm-command.ts';
import { createTestFolder } from '../support/test-folder.ts';

/** Ids of live processes whose command line or working directory tells of a folder. */
async function processesOf(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (commandLine.includes(folder)) found.push(`${pid} ${commandLine.replaceAll('\0', ' ')}`);
  }
  return found;
}

describe.skipIf(process.platform !== 'linux')('npm start (needs /proc)', () => {
  it('publishes, runs, kills a node under load, loses no request and leaves nothing behind', async () => {
    await using folder = await createTestFolder();
    const { code, events, stderr } = await runSwarm(['up', '--demo', '--once', '--json'], {
      cwd: folder.path,
      env: { TMPDIR: folder.path },
    });
    expect(code, stderr).toBe(0);

    const results = events.filter(({ event }) => event === 'result');
    expect(new Set(results.map(({ model }) => model))).toEqual(
      new Set(['digits', 'language', 'travel']),
    );
    for (const result of results) {
      expect(result).toMatchObject({
        input: expect.any(String),
        answer: expect.any(String),
        node: expect.any(String),
        latencyMs: expect.any(Number),
      });
    }
    const digits = results.filter(({ model }) => model === 'digits');
    expect(digits.length).toBeGreaterThan(3);
    expect(
      digits.every(({ answer, input }) => String(input).includes(`digit ${String(answer)}`)),
    ).toBe(true);

    const done = events.at(-1);
    expect(done).toMatchObject({ event: 'done', ok: true, failed: 0 });
    expect(done?.['requests']).toBeGreaterThan(results.length);
    expect(await processesOf(folder.path)).toEqual([]);
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('stays up for others until Ctrl-C, and then ends every process it started', async () => {
    await using folder = await createTestFolder();
    const child = spawn(process.execPath, [SWARM, 'up', '--demo', '--json'], {
      cwd: folder.path,
      env: { ...ownEnvironment(), TMPDIR: folder.path },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'close');
    const events: Record<string, unknown>[] = [];
    try {
      for await (const line of createInterface({ input: child.stdout })) {
        const event = JSON.parse(line) as Record<string, unknown>;
        events.push(event);
        if (event['event'] !== 'up') continue;
        const listed = await runSwarm(
          ['models', 'ls', '--json', '--bootstrap', String(event['bootstrap'])],
          { cwd: folder.path },
        );
        expect(listed, listed.stderr).toMatchObject({ code: 0 });
        for (const name of ['digits', 'language', 'travel']) expect(listed.stdout).toContain(name);
        expect(await processesOf(folder.path)).not.toEqual([]);
        child.kill('SIGINT');
      }
    } finally {
      // A second signal ends it at once; after the first it is gone already.
      child.kill('SIGINT');
    }
    // Ctrl-C is how it is meant to end: no failure, also for npm.
    expect((await ended)[0]).toBe(0);
    expect(events.some(({ event }) => event === 'up')).toBe(true);
    expect(await processesOf(folder.path)).toEqual([]);
    expect(await readdir(folder.path)).toEqual([]);
  });
});
