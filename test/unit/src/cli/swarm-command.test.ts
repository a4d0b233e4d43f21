import { describe, expect, it, vi } from 'vitest';
import { runCommand, runSwarm, SWARM } from '../../../support/swarm-command.ts';

describe('bin/swarm.js', () => {
  it.each(['v20.20.2', 'v22.12.0', 'v6.0.0'])(
    'refuses Node %s in one line that says what it needs and how to get it, with exit code 78',
    async (version) => {
      const { code, stdout, stderr } = await runSwarm(['--help'], {
        env: { SWARM_TEST_NODE_VERSION: version },
      });
      expect([code, stdout]).toEqual([78, '']);
      expect(stderr).toMatch(/^error: .*22\.13 or newer.*npx swarm.*\n$/);
      expect(stderr).toContain(version);
      expect(stderr.trimEnd()).not.toContain('\n');
    },
  );

  it.each(['v22.13.0', 'v24.0.0', 'v30.1.0'])('runs on Node %s', async (version) => {
    const { code, stdout } = await runSwarm(['config', '--json', '--zone', 'attic'], {
      env: { SWARM_TEST_NODE_VERSION: version },
    });
    expect([code, stdout]).toEqual([
      0,
      '{"event":"setting","name":"zone","value":"attic","source":"flag"}\n',
    ]);
  });

  it('has nothing here of the settings that whoever runs the tests has exported', async () => {
    vi.stubEnv('SWARM_DEADLINE_MS', 'nonsense');
    vi.stubEnv('SWARM_CONFIG', '/gone.json');
    const { code, stdout } = await runSwarm(['config', '--json', '--zone', 'attic']);
    vi.unstubAllEnvs();
    expect([code, stdout.trimEnd().split('\n').length]).toEqual([0, 1]);
  });

  it('writes an error without a stack and ends with its exit code', async () => {
    const { code, stdout, stderr } = await runSwarm(['infer', 'nonsense', '--image', 'x.png']);
    expect([code, stdout]).toEqual([5, '']);
    expect(stderr).toMatch(
      /^error: model reference "nonsense" is not valid, .*\(ERR_INVALID_INPUT\)\n$/,
    );
  });

  it.skipIf(process.platform !== 'linux').each([
    [
      'answer',
      'config --resolved > /dev/full',
      /^error: standard output .*ENOSPC.*\(ERR_STORE\)\n$/,
    ],
    ['answer as JSON', 'config --resolved --json > /dev/full', /^error: standard output .*\n$/],
    ['log', 'config 2> /dev/full', /^$/],
  ] as const)('fails when its %s goes into a file on a full disk', async (_, words, says) => {
    const script = `"$0" "$1" ${words}`;
    const { code, stdout, stderr } = await runCommand('sh', [
      '-c',
      script,
      process.execPath,
      SWARM,
    ]);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(says);
  });
});
