import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { closeInheritedFiles } from '../../../../../node/backend/child/inherited-files.ts';

const MODULE = fileURLToPath(
  new URL('../../../../../node/backend/child/inherited-files.ts', import.meta.url),
);

test.runIf(process.platform === 'linux')(
  'closeInheritedFiles closes what a process was started with above the last one wanted, and nothing of its own',
  async () => {
    const program = `
      import { fstatSync, openSync } from 'node:fs';
      import { closeInheritedFiles } from ${JSON.stringify(MODULE)};
      const open = (fd) => { try { fstatSync(fd); return true; } catch { return false; } };
      const own = openSync('/dev/null');
      const before = [3, 40].map(open);
      closeInheritedFiles(3);
      console.log(JSON.stringify([before, [3, 40, own].map(open)]));`;
    const leak = openSync('/dev/null', 'r');
    const stdio: ('ignore' | 'pipe' | number)[] = ['ignore', 'pipe', 'pipe'];
    stdio.push(leak);
    // Those without a gap below them Node itself marks when it starts, here and in the node.
    while (stdio.length < 40) stdio.push('ignore');
    stdio.push(leak);
    const flags = ['--no-warnings', '--input-type=module'];
    if (!process.features.typescript) flags.push('--experimental-strip-types');
    const child = spawn(process.execPath, [...flags, '-e', program], { stdio });
    const [said, complaint] = await Promise.all([
      text(child.stdout!),
      text(child.stderr!),
      once(child, 'close'),
    ]);
    closeSync(leak);
    expect(complaint).toBe('');
    expect(JSON.parse(said)).toEqual([
      [true, true],
      [true, false, true],
    ]);
  },
);

test('closeInheritedFiles closes nothing where the system hands nothing on', () => {
  const count = () => (process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0);
  const before = count();
  closeInheritedFiles(3, 'darwin');
  expect(count()).toBe(before);
});
