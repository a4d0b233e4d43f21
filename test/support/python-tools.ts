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

/** Lists of libraries with their versions, each for programs that can be in one process. */
const LISTS = { formats: 'requirements.txt', clients: 'requirements-clients.txt' } as const;

type PythonList = keyof typeof LISTS;

/** Where the libraries of a list are: another folder when their versions change. */
function packagesOf(list: PythonList): string {
  const digest = createHash('sha256').update(readFileSync(path.join(INTEROP, LISTS[list])));
  return path.join(TEST_TOOLS, `python-${digest.digest('hex').slice(0, 12)}`);
}

const VERSION_TIMEOUT_MS = 20_000;

const INSTALL_TIMEOUT_MS = 600_000;

const PROGRAM_TIMEOUT_MS = 60_000;

/** Why tests that need Python's libraries cannot run; undefined when they can. */
export const PYTHON_PACKAGES_ABSENT = absence('formats');

/** The same of those that call the gateway. */
export const PYTHON_CLIENTS_ABSENT = absence('clients');

function absence(list: PythonList): string | undefined {
  const packages = packagesOf(list);
  return existsSync(packages) ? undefined : `skipped: no ${packages}, run npm run test:tools`;
}

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
  for (const list of ['formats', 'clients'] as const) {
    await installRequirements(path.join(INTEROP, LISTS[list]), packagesOf(list), signal);
  }
}

/**
 * Installs what a file of requirements names into a folder, where that was not done before.
 *
 * @throws as {@link installPythonPackages}
 */
export async function installRequirements(
  requirements: string,
  packages: string,
  signal: AbortSignal,
): Promise<void> {
  if (existsSync(packages)) return;
  const python = await pythonCommand(signal);
  await mkdir(TEST_TOOLS, { recursive: true });
  const folder = await mkdtemp(path.join(TEST_TOOLS, 'installing-'));
  try {
    await promisify(execFile)(
      python,
      ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', folder, '-r', requirements],
      { signal, timeout: INSTALL_TIMEOUT_MS },
    );
    // Last, so that an installation that broke off is begun again.
    await rename(folder, packages);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

export interface PythonOptions {
  /** Whose libraries it needs. @default 'formats' */
  readonly list?: PythonList;
  /** @default 60000 */
  readonly timeoutMs?: number;
}

/**
 * Runs a program of test/interop with those libraries: JSON on its standard input, JSON on its standard output.
 *
 * @throws with what it wrote to standard error when it fails.
 */
export async function runPython(
  program: string,
  request: object,
  { list = 'formats', timeoutMs = PROGRAM_TIMEOUT_MS }: PythonOptions = {},
): Promise<unknown> {
  const python = await pythonCommand(AbortSignal.timeout(VERSION_TIMEOUT_MS));
  const child = spawn(python, [path.join(INTEROP, program)], {
    env: { ...process.env, PYTHONPATH: packagesOf(list), PYTHONDONTWRITEBYTECODE: '1' },
    timeout: timeoutMs,
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
