import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import {
  FAILURE_AGE_MS,
  type ProbeOutcome,
  probeKey,
  readProbeCache,
  writeProbeCache,
} from '../../../../node/device/probe-cache.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

const WORKS: readonly ProbeOutcome[] = [{ provider: 'cpu', fault: null }];
const FAILS: readonly ProbeOutcome[] = [...WORKS, { provider: 'cuda', fault: 'no library' }];
const NOW = 1_800_000_000_000;

describe('readProbeCache', () => {
  test('gives back what was kept under the same key, and nothing under another', async () => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'devices.json');
    await writeProbeCache(file, 'key', FAILS, NOW);
    await expect(readProbeCache(file, 'key', NOW)).resolves.toEqual(FAILS);
    await expect(readProbeCache(file, 'other', NOW)).resolves.toBeUndefined();
    expect(await readdir(folder.path)).toEqual(['devices.json']);
  });

  test('forgets a failure after a day, and never a success', async () => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'devices.json');
    await writeProbeCache(file, 'key', FAILS, NOW);
    await expect(readProbeCache(file, 'key', NOW + FAILURE_AGE_MS)).resolves.toEqual(FAILS);
    await expect(readProbeCache(file, 'key', NOW + FAILURE_AGE_MS + 1)).resolves.toBeUndefined();
    // The clock was set back: how old it is cannot be told.
    await expect(readProbeCache(file, 'key', NOW - 1)).resolves.toBeUndefined();
    await writeProbeCache(file, 'key', WORKS, NOW);
    await expect(readProbeCache(file, 'key', NOW + 100 * FAILURE_AGE_MS)).resolves.toEqual(WORKS);
  });

  test.each(['', '{', '[]', '{"key":"key","probedAtMs":1,"outcomes":[{"provider":1}]}'])(
    'takes a file that says %j for none',
    async (text) => {
      await using folder = await createTestFolder();
      const file = path.join(folder.path, 'devices.json');
      await writeFile(file, text);
      await expect(readProbeCache(file, 'key', NOW)).resolves.toBeUndefined();
    },
  );
});

describe('probeKey', () => {
  const gpu = {
    index: 0,
    uuid: 'GPU-1',
    name: 'NVIDIA H100',
    memoryBytes: 1,
    freeBytes: 1,
    busyPercent: 0,
    driverVersion: '550',
  };

  test('is the same as long as nothing changes', async () => {
    expect(await probeKey([gpu], true)).toBe(await probeKey([gpu], true));
    const busy = { ...gpu, freeBytes: 0, busyPercent: 100 };
    expect(await probeKey([busy], true)).toBe(await probeKey([gpu], true));
  });

  test('changes with the driver, the GPUs and the environment that finds libraries', async () => {
    const keys = [await probeKey([], false), await probeKey([], true), await probeKey([gpu], true)];
    keys.push(await probeKey([{ ...gpu, driverVersion: '560' }], true));
    vi.stubEnv('LD_LIBRARY_PATH', '/opt/cuda/lib64');
    keys.push(await probeKey([gpu], true));
    vi.unstubAllEnvs();
    expect(new Set(keys).size).toBe(5);
  });
});
