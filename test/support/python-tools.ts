import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** What tests fetch from elsewhere and keep from run to run; no part of the project. */
export const TEST_TOOLS = path.resolve(
  process.env['SWARM_TEST_TOOLS'] ??
    fileURLToPath(new URL('../../node_modules/.cache/test-tools', import.meta.url)),
);

const INTEROP = fileURLToPath(new URL('../interop', import.meta.url));

const REQUIREMENTS = path.join(INTEROP, 'requirements.txt');

/** The libraries of {@link REQUIREMENTS}: another folder when their versions change. */
const PACKAGES = path.join(
  TEST_TOOLS,
  `python-${createHash('sha256').update(readFileSync(REQUIREMENTS)).digest('hex').slice(0, 12)}`,
);

const VERSION_TIMEOUT_MS = 20_000;

const INSTALL_TIMEOUT_MS = 600_000;

const PROGRAM_TIMEOUT_MS = 60_000;

/** Why tests that need Python's libraries cannot run; undefined when they can. */
export const PYTHON_PACKAGES_ABSENT = existsSync(PACKAGES)
  ? undefined
  : `skipped: no ${PACKAGES}, run npm run test:tools`;

/**
 * The command of a Python 3 that has pip.
 *
 * @throws when this machine has none.
 */
export async function pythonCommand(signal: AbortSignal): Promise<string> {
  for (const command of ['python3', 'python']) {
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
    'expected Python 3 with pip (python3 -m pip --version), found none: install it, python3-pip on Debian',
  );
}

/**
 * Installs the libraries of test/interop, where that was not done before, into a folder that nothing else looks into.
 *
 * @throws when there is no Python with pip, or what pip says.
 */
export async function installPythonPackages(signal: AbortSignal): Promise<void> {
  if (existsSync(PACKAGES)) return;
  const python = await pythonCommand(signal);
  await mkdir(TEST_TOOLS, { recursive: true });
  const folder = await mkdtemp(path.join(TEST_TOOLS, 'installing-'));
  try {
    await promisify(execFile)(
      python,
      ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', folder, '-r', REQUIREMENTS],
      { signal, timeout: INSTALL_TIMEOUT_MS },
    );
    // Last, so that an installation that broke off is begun again.
    await rename(folder, PACKAGES);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Runs a program of test/interop with those libraries: JSON on its standard input, JSON on its standard output.
 *
 * @throws with what it wrote to standard error when it fails.
 */
export async function runPython(program: string, request: object): Promise<unknown> {
  const python = await pythonCommand(AbortSignal.timeout(VERSION_TIMEOUT_MS));
  const child = spawn(python, [path.join(INTEROP, program)], {
    env: { ...process.env, PYTHONPATH: PACKAGES, PYTHONDONTWRITEBYTECODE: '1' },
    timeout: PROGRAM_TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.end(JSON.stringify(request));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`${program} ended with ${String(code)}: ${stderr}`);
  return JSON.parse(stdout);
}
