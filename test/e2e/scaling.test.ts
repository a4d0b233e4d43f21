import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCommand } from '../support/swarm-command.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');

describe.skipIf(process.platform === 'win32')('`npm run demo:scale`', () => {
  it('shows replicas that follow the load, sleep and wake, and that no request failed', async () => {
    const { code, stdout, stderr } = await runCommand(
      process.execPath,
      ['--conditions=swarm-source', path.join('scripts', 'demo-scale.ts')],
      { cwd: ROOT, timeoutMs: 170_000 },
    );
    expect(code, `${stdout}\n${stderr}`).toBe(0);
    for (const step of [
      'idle nodes have fetched it from the first and serve it too',
      'the replicas have followed',
      'no node has either of them in memory',
      'one node was woken',
    ]) {
      expect(stdout).toContain(step);
    }
    expect(stdout).toMatch(/[1-9]\d* requests were answered, 0 failed/);
  });
});
