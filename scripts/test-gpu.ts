/**
 * `npm run test:gpu`: the compliance suite, real models and the benchmark on whatever GPU this host has; where it has none, on
 * Mesa's software Vulkan, which runs the same code slowly. Further words go to vitest.
 */
import { spawn } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';
import { hasGpuSign } from '../node/device/gpu-sign.ts';
import { softwareVulkan } from './software-vulkan.ts';

const ROOT = path.dirname(import.meta.dirname);

/** Exit code where there is neither a GPU nor a way to software Vulkan, so that who runs this can tell it from a failure. */
const NOTHING_TO_RUN_ON = 3;

const gpu = process.env['VK_DRIVER_FILES'] !== undefined || (await hasGpuSign());
const cache = process.env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache');
const folder = path.join(cache, 'gpu-swarm', 'software-vulkan');
const vulkan = gpu
  ? {}
  : await softwareVulkan(folder).catch((error: unknown) => {
      console.error(error);
      process.exit(NOTHING_TO_RUN_ON);
    });
console.log(gpu ? 'On the GPU of this host.' : 'No GPU here: on software Vulkan.');

const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--project', 'gpu'];
const tests = await runNode([...vitest, ...process.argv.slice(2)]);
const bench = ['--conditions=swarm-source', 'bench/main.ts', 'device'];
// The software's numbers say that it runs, and no more.
const brief = ['--batch', '1,4', '--seconds', '0.2', '--rounds', '1'];
const measured = await runNode(gpu ? bench : [...bench, ...brief]);
process.exitCode = tests === 0 ? measured : tests;

async function runNode(args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...vulkan },
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}
