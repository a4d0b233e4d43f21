import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { writeDurably } from '../../src/swarm/durable-file.ts';
import { deviceEnvironment } from '../backend/child-environment.ts';
import type { NvidiaGpu } from './nvidia-smi.ts';

/** Milliseconds for which a provider that failed is not tried again: what failed it may have been passing. */
export const FAILURE_AGE_MS = 24 * 3_600_000;

/** Written anew whenever a system library is installed or removed. */
const LINKER_CACHE = '/etc/ld.so.cache';

/** How the trial of one execution provider ended. */
export interface ProbeOutcome {
  readonly provider: string;
  /** Why it does not work; null when it does. */
  readonly fault: string | null;
  /** Which of several GPUs it was tried on, as {@link visibleName}; absent where there is at most one. */
  readonly gpu?: string | undefined;
  /** `host` when it works only where its process sees the host's files; absent when it needs none of them. */
  readonly files?: 'host' | undefined;
}

const cacheSchema = z.object({
  key: z.string(),
  probedAtMs: z.number(),
  outcomes: z.array(
    z.object({
      provider: z.string(),
      fault: z.string().nullable(),
      gpu: z.string().optional(),
      files: z.literal('host').optional(),
    }),
  ),
});

/**
 * The outcomes kept in a file, when they were found under the same key and are not too old.
 *
 * @param nowMs milliseconds since 1970
 */
export async function readProbeCache(
  file: string,
  key: string,
  nowMs: number,
): Promise<readonly ProbeOutcome[] | undefined> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, 'utf8'));
  } catch {
    // Not there yet, or not ours any more: probing again is always right.
    return undefined;
  }
  const parsed = cacheSchema.safeParse(value);
  if (!parsed.success || parsed.data.key !== key) return undefined;
  const { outcomes, probedAtMs } = parsed.data;
  const ageMs = nowMs - probedAtMs;
  const failed = outcomes.some(({ fault }) => fault !== null);
  return failed && (ageMs < 0 || ageMs > FAILURE_AGE_MS) ? undefined : outcomes;
}

/** Keeps outcomes for the next start. */
export async function writeProbeCache(
  file: string,
  key: string,
  outcomes: readonly ProbeOutcome[],
  nowMs: number,
): Promise<void> {
  const text = JSON.stringify({ key, probedAtMs: nowMs, outcomes }, undefined, 2);
  await writeDurably(file, Buffer.from(`${text}\n`));
}

/** Says in a hash all that decides which providers work: runtime and its libraries, drivers, GPUs, system libraries, Node. */
export async function probeKey(gpus: readonly NvidiaGpu[], gpuSeen: boolean): Promise<string> {
  const facts = {
    runtime: await describeRuntime(),
    // Trials leave the code of models' processes compiled for those that follow.
    code: await describeChildCode(),
    // Not how full and busy they are, which changes all the time.
    gpus: gpus.map(({ index, uuid, name, memoryBytes, driverVersion }) => {
      return { index, uuid, name, memoryBytes, driverVersion };
    }),
    gpuSeen,
    platform: process.platform,
    arch: process.arch,
    node: process.version,
    linkerCache: await stat(LINKER_CACHE).then(
      ({ mtimeMs }) => mtimeMs,
      () => null,
    ),
    environment: deviceEnvironment(process.env),
  };
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex');
}

/** Says in a hash all that decides how fast a model runs besides its device: runtime, processor, cores, threads, Node. */
export async function speedKey(settings: {
  readonly threads: number;
  readonly maxCores: number;
}): Promise<string> {
  const cpus = os.cpus();
  const facts = {
    runtime: await describeRuntime(),
    arch: process.arch,
    node: process.version,
    processor: cpus[0]?.model,
    cores: cpus.length,
    ...settings,
    environment: deviceEnvironment(process.env),
  };
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex');
}

/** The modules that run in models' processes, and when they were written. */
async function describeChildCode(): Promise<object> {
  const folder = fileURLToPath(new URL('../backend/child/', import.meta.url));
  const names = (await readdir(folder)).sort();
  return Promise.all(
    names.map(async (name) => [name, (await stat(path.join(folder, name))).mtimeMs]),
  );
}

/** Version and libraries of ONNX Runtime without loading it; CUDA's libraries are put beside its own. */
async function describeRuntime(): Promise<object> {
  try {
    const manifest = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
    const { version } = JSON.parse(await readFile(manifest, 'utf8')) as { version?: unknown };
    const folder = path.join(path.dirname(manifest), 'bin');
    const names = (await readdir(folder, { recursive: true })).sort();
    const libraries = await Promise.all(
      names.map(async (name) => [name, (await stat(path.join(folder, name))).size]),
    );
    return { version, libraries };
  } catch {
    // Not installed: the trial on the CPU says so.
    return {};
  }
}
