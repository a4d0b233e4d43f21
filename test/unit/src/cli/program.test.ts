import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { COMMANDS } from '../../../../src/cli/command-table.ts';
import { Interrupted } from '../../../../src/cli/interrupt.ts';
import { runCommandLine } from '../../../../src/cli/program.ts';
import { settingSpec } from '../../../../src/cli/settings.ts';
import { createTestFolder } from '../../../support/test-folder.ts';
import { createHost, events, type HostOptions } from './command-host.ts';

async function run(line: string, options: HostOptions = {}) {
  const { host, written } = createHost({ ...options, argv: line.split(' ').filter(Boolean) });
  return { code: await runCommandLine(host), ...written };
}

/** What help and the version write: commander writes them itself. */
async function runForHelp(line: string) {
  let help = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    help += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    help += String(text);
    return true;
  });
  const { host } = createHost({ argv: line.split(' ') });
  return { code: await runCommandLine(host), help };
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('runCommandLine', () => {
  it.each(COMMANDS)(
    'prints the help of `swarm $path`, with its examples, and ends with 0',
    async (spec) => {
      const { code, help } = await runForHelp(`${spec.path} --help`);
      expect(code).toBe(0);
      for (const key of spec.settings) expect(help).toContain(settingSpec(key).env);
      for (const { flags } of spec.options ?? []) expect(help).toContain(flags);
      for (const example of spec.examples) expect(help).toContain(`  swarm ${example}`);
      expect(help).toContain('--json');
    },
  );

  it('prints every command and the exit codes with --help', async () => {
    const { code, help } = await runForHelp('--help');
    expect(code).toBe(0);
    for (const spec of COMMANDS) expect(help).toContain(`  ${spec.path.split(' ')[0]}`);
    expect(help).toContain('Exit codes:');
  });

  it.each(['status', 'pause', 'resume'])(
    'gives `swarm node %s` the options that follow it, though `swarm node` has the same',
    async (verb) => {
      await using folder = await createTestFolder();
      const { code, stderr } = await run(`node ${verb} --data ${folder.path}`);
      expect({ code, stderr }).toEqual({ code: 3, stderr: expect.stringContaining(folder.path) });
    },
  );

  it.each(COMMANDS.filter(({ path: words }) => words.endsWith('ls')))(
    'takes `list` for the end of `swarm $path`, and says so in its help',
    async ({ path: words }) => {
      const { code, help } = await runForHelp(`${words.replace(/ls$/, 'list')} --help`);
      expect([code, help]).toEqual([0, expect.stringMatching(/^Usage: swarm .*ls\|.*list/)]);
    },
  );

  it('calls by one name what lists', () => {
    expect(COMMANDS.filter(({ path: words }) => words.endsWith('list'))).toEqual([]);
  });

  it('prints the version of package.json', async () => {
    const { code, help } = await runForHelp('--version');
    expect([code, help]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+\n$/)]);
  });

  it('ends with 2 when a group is given no command, and prints its help', async () => {
    const { code, help } = await runForHelp('models');
    expect(code).toBe(2);
    expect(help).toContain('show');
  });

  it.each([
    ['inferr', "error: unknown command 'inferr' (Did you mean infer?) (ERR_CONFIG)\n"],
    ['models lss', "error: unknown command 'lss' (Did you mean ls?) (ERR_CONFIG)\n"],
    [
      'config --resolve',
      "error: unknown option '--resolve' (Did you mean --resolved?) (ERR_CONFIG)\n",
    ],
    ['infer', "error: missing required argument 'ref' (ERR_CONFIG)\n"],
    ['publish ./x', "error: required option '--name <name>' not specified (ERR_CONFIG)\n"],
    ['config --zone', "error: option '--zone <name>' argument missing (ERR_CONFIG)\n"],
  ])('ends with 2 and one line for `swarm %s`', async (line, message) => {
    expect(await run(line)).toEqual({ code: 2, stdout: '', stderr: message });
  });

  it('tells a mistake as an event with --json', async () => {
    const { code, stdout, stderr } = await run('inferr --json');
    expect([code, stderr]).toEqual([2, '']);
    expect(events(stdout)).toEqual([
      {
        event: 'error',
        code: 'ERR_CONFIG',
        message: "unknown command 'inferr' (Did you mean infer?)",
      },
    ]);
  });

  it('takes repeated flags as a list and --no- as off', async () => {
    const { code, stdout } = await run('config --json --bootstrap a --bootstrap b --no-mdns');
    expect(code).toBe(0);
    expect(events(stdout)).toEqual([
      { event: 'setting', name: 'bootstrap', value: ['a', 'b'], source: 'flag' },
      { event: 'setting', name: 'mdns', value: false, source: 'flag' },
    ]);
  });

  it('reads the configuration file that a flag or SWARM_CONFIG names, relative to the working folder', async () => {
    await using folder = await createTestFolder();
    await writeFile(path.join(folder.path, 'swarm.json'), '{"zone":"attic"}');
    const expected = [{ event: 'setting', name: 'zone', value: 'attic', source: 'file' }];
    const byFlag = await run('config --json --config swarm.json', { cwd: folder.path });
    expect(events(byFlag.stdout)).toEqual(expected);
    const env = { SWARM_CONFIG: 'swarm.json' };
    const byVariable = await run('config --json', { cwd: folder.path, env });
    expect(events(byVariable.stdout)).toEqual(expected);
  });

  it('ends with 2 when the configuration file is missing or a folder', async () => {
    await using folder = await createTestFolder();
    await mkdir(path.join(folder.path, 'folder.json'));
    for (const name of ['missing.json', 'folder.json']) {
      const { code, stderr } = await run(`config --config ${name}`, { cwd: folder.path });
      expect(code).toBe(2);
      expect(stderr).toMatch(
        new RegExp(`^error: configuration file ${name} .*\\(ERR_CONFIG\\)\n$`),
      );
    }
  });

  it('reads a configuration file up to its bound and refuses one byte more', async () => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'swarm.json');
    await writeFile(file, '{}'.padEnd(1024 * 1024));
    expect(await run('config --config swarm.json', { cwd: folder.path })).toMatchObject({
      code: 0,
    });
    await writeFile(file, '{}'.padEnd(1024 * 1024 + 1));
    const { code, stderr } = await run('config --config swarm.json', { cwd: folder.path });
    expect([code, stderr]).toEqual([2, expect.stringContaining('expected at most 1048576')]);
  });

  it('tells the interruption, not what broke because of it', async () => {
    const ending = new AbortController();
    ending.abort(new Interrupted('SIGINT'));
    const { code, stderr } = await run('infer nonsense --request x', { signal: ending.signal });
    expect([code, stderr]).toEqual([130, 'error: interrupted by SIGINT (INTERRUPTED)\n']);
  });
});
