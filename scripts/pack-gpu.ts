/**
 * Packs what `npm run test:gpu` and the benchmarks need for a Linux x64 host that has a GPU and no network:
 * `npm run pack:gpu`. It makes parts of a size that can be carried, and beside them `unpack.sh`, which needs sh, tar and xz.
 */
import { execFile } from 'node:child_process';
import { createReadStream, createWriteStream } from 'node:fs';
import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseArgs, promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = path.dirname(import.meta.dirname);
const ARCHIVE = 'gpu-swarm.tar.xz';
const MIB = 1024 ** 2;

/** Development dependencies that only look at sources, and image decoding: nothing there runs them. */
const LEFT_OUT = [
  '@biomejs/biome',
  '@types/node',
  'knip',
  'oxlint',
  'oxlint-tsgolint',
  'publint',
  'sharp',
  'typescript',
];

/** Milliseconds for one program: the install may download, the compression is a minute of CPU. */
const TIMEOUT_MS = 15 * 60_000;

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: path.join(ROOT, 'dist', 'gpu') },
    'part-mib': { type: 'string', default: '48' },
    libraries: { type: 'string' },
  },
});
const partBytes = Number(values['part-mib']) * MIB;
if (!Number.isSafeInteger(partBytes) || partBytes < MIB) {
  throw new RangeError(`--part-mib is ${values['part-mib']}, expected an integer >= 1`);
}
if (process.platform !== 'linux' || process.arch !== 'x64') {
  throw new Error(
    `this is ${process.platform} ${process.arch}, expected linux x64: binaries are packed from here`,
  );
}

const staging = await mkdtemp(path.join(os.tmpdir(), 'gpu-swarm-pack-'));
try {
  const product = path.join(staging, 'gpu-swarm');
  await copySources(product);
  await installModules(product);
  await slimModules(path.join(product, 'node_modules'), values.libraries);
  await rm(values.out, { recursive: true, force: true });
  await mkdir(values.out, { recursive: true });
  const parts = await archive(staging, values.out);
  await writeUnpacker(values.out);
  for (const { name, bytes } of parts) console.log(`${name}  ${(bytes / MIB).toFixed(1)} MiB`);
  console.log(`In ${values.out}. There: sh unpack.sh <folder>, in the folder of the parts.`);
} finally {
  await rm(staging, { recursive: true, force: true });
}

/** The files of the checkout that git knows or would. */
async function copySources(product: string): Promise<void> {
  const list = ['ls-files', '--cached', '--others', '--exclude-standard', '-z'];
  const { stdout } = await run('git', list, { cwd: ROOT, maxBuffer: 16 * MIB });
  for (const file of stdout.split('\0').filter((name) => name !== '')) {
    await cp(path.join(ROOT, file), path.join(product, file), { recursive: true });
  }
}

async function installModules(product: string): Promise<void> {
  const file = path.join(product, 'package.json');
  const manifest = JSON.parse(await readFile(file, 'utf8')) as Record<
    string,
    Record<string, string>
  >;
  for (const field of ['devDependencies', 'optionalDependencies']) {
    for (const name of LEFT_OUT) delete manifest[field]?.[name];
  }
  await writeFile(file, JSON.stringify(manifest, null, 2));
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund'], {
    cwd: product,
    timeout: TIMEOUT_MS,
    maxBuffer: 16 * MIB,
  });
}

/**
 * Leaves the binaries of this system, without their symbols.
 *
 * @param libraries folder whose files go beside ONNX Runtime's own, such as its CUDA provider
 */
async function slimModules(modules: string, libraries: string | undefined): Promise<void> {
  const runtime = path.join(modules, 'onnxruntime-node', 'bin', 'napi-v6');
  for (const platform of await readdir(runtime)) {
    if (platform !== 'linux') await rm(path.join(runtime, platform), { recursive: true });
  }
  await rm(path.join(runtime, 'linux', 'arm64'), { recursive: true, force: true });
  const binaries = path.join(runtime, 'linux', 'x64');
  if (libraries !== undefined) await cp(libraries, binaries, { recursive: true });
  const node = path.join(modules, 'node', 'bin', 'node');
  const files = (await readdir(binaries)).map((name) => path.join(binaries, name));
  for (const file of [node, ...files]) await run('strip', ['--strip-unneeded', file]);
}

/** Compresses the folder and cuts the archive into parts of equal size. */
async function archive(folder: string, out: string): Promise<{ name: string; bytes: number }[]> {
  const whole = path.join(out, ARCHIVE);
  const env = { ...process.env, XZ_OPT: '-7 -T0' };
  await run('tar', ['-cJf', whole, '-C', folder, 'gpu-swarm'], { env, timeout: TIMEOUT_MS });
  const { size } = await stat(whole);
  const count = Math.ceil(size / partBytes);
  const each = Math.ceil(size / count);
  const parts: { name: string; bytes: number }[] = [];
  for (let index = 0; index < count; index += 1) {
    const name = `${ARCHIVE}.${String(index).padStart(2, '0')}`;
    const start = index * each;
    const end = Math.min(size, start + each) - 1;
    await pipeline(
      createReadStream(whole, { start, end }),
      createWriteStream(path.join(out, name)),
    );
    parts.push({ name, bytes: end - start + 1 });
  }
  await rm(whole);
  return parts;
}

async function writeUnpacker(out: string): Promise<void> {
  const file = path.join(out, 'unpack.sh');
  await writeFile(
    file,
    `#!/bin/sh
# Unpacks the parts beside this script into a folder: sh unpack.sh <folder>
set -eu
into=\${1:?usage: sh unpack.sh <folder>}
mkdir -p "$into"
cat "$(dirname "$0")"/${ARCHIVE}.?? | tar -xJ -C "$into"
echo "cd $into/gpu-swarm && PATH=\\$PWD/node_modules/.bin:\\$PATH npx vitest run --project gpu"
`,
  );
  await chmod(file, 0o755);
}
