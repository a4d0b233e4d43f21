import { execFile } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** What tests fetch from elsewhere and keep from run to run; no part of the project. */
export const TEST_TOOLS = path.resolve(
  process.env['SWARM_TEST_TOOLS'] ??
    fileURLToPath(new URL('../../node_modules/.cache/test-tools', import.meta.url)),
);

const VERSION_TIMEOUT_MS = 20_000;

/**
 * The command of a Python 3 that has pip.
 *
 * @throws when this machine has none.
 */
export async function pythonCommand(signal: AbortSignal): Promise<string> {
  for (const command of process.platform === 'win32' ? ['python', 'py'] : ['python3', 'python']) {
    try {
      const { stdout } = await promisify(execFile)(command, ['-m', 'pip', '--version'], {
        signal,
        timeout: VERSION_TIMEOUT_MS,
      });
      if (/\(python 3\./.test(stdout)) return command;
    } catch {
      // Absent, or without pip: the next name may do.
      signal.throwIfAborted();
    }
  }
  throw new Error(
    'expected Python 3 with pip (python3 -m pip), found none: install python3-pip, or python3-venv',
  );
}
