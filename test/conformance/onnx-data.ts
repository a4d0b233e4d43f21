import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { pythonCommand, TEST_TOOLS } from '../support/python-tools.ts';

/** Name and digest of the wheel that has the test data. */
const REQUIREMENTS = path.join(import.meta.dirname, 'requirements.txt');

/** Where the test data lies in the wheel. */
const IN_WHEEL = 'onnx/backend/test/data';

/** The ONNX project's test data on this machine; its name says which, so that another version is another folder. */
export const ONNX_DATA = path.join(TEST_TOOLS, 'onnx-data-1.22.0');

const DOWNLOAD_TIMEOUT_MS = 300_000;

/** The same wheel on every machine: its test data does not depend on the platform, its digest does. */
const ONE_WHEEL = [
  ...['--no-deps', '--only-binary=:all:', '--require-hashes', '--no-cache-dir'],
  ...['--platform', 'manylinux_2_28_x86_64', '--python-version', '3.12', '--implementation', 'cp'],
];

/** Why tests that need the data cannot run; undefined when they can. */
export const ONNX_DATA_ABSENT = existsSync(ONNX_DATA)
  ? undefined
  : `skipped: no ${ONNX_DATA}, run npm run test:tools`;

/**
 * Fetches the ONNX project's test data, where that was not done before: 19 MB of a wheel, 65 MB unpacked.
 *
 * @throws when there is no Python with pip, or what pip says.
 */
export async function fetchOnnxData(signal: AbortSignal): Promise<void> {
  if (existsSync(ONNX_DATA)) return;
  const python = await pythonCommand(signal);
  await mkdir(TEST_TOOLS, { recursive: true });
  const folder = await mkdtemp(path.join(TEST_TOOLS, 'fetching-'));
  try {
    const run = async (...args: string[]) =>
      promisify(execFile)(python, ['-m', ...args], { signal, timeout: DOWNLOAD_TIMEOUT_MS });
    await run('pip', 'download', '--quiet', ...ONE_WHEEL, '-r', REQUIREMENTS, '-d', folder);
    const wheel = (await readdir(folder)).find((name) => name.endsWith('.whl'));
    if (wheel === undefined) throw new Error(`expected a wheel in ${folder}, found none`);
    await run('zipfile', '-e', path.join(folder, wheel), folder);
    // Last, so that a fetch that broke off is begun again.
    await rename(path.join(folder, IN_WHEEL), ONNX_DATA);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
