import { describe, expect, test } from 'vitest';
import { type OnnxBackendInit, resolveOnnxInit } from '../../../../node/backend/onnx-init.ts';
import { hostMemoryBytes } from '../../../../node/device/host-memory.ts';
import { MAX_BODY_BYTES } from '../../../../protocols/limits.ts';

describe('resolveOnnxInit', () => {
  test('fills in the defaults', () => {
    const { threads, ...rest } = resolveOnnxInit({});
    expect(threads).toBeGreaterThanOrEqual(1);
    expect(rest).toEqual({
      workDir: undefined,
      isolation: undefined,
      needsHostFiles: expect.any(Function),
      loopLimitMs: 5_000,
      providers: ['cpu'],
      deviceId: 0,
      cpuFallback: true,
      maxMemoryBytes: Math.floor((hostMemoryBytes() * 3) / 4),
      maxResponseBytes: MAX_BODY_BYTES,
      loadTimeoutMs: 120_000,
      maxCrashes: 2,
      niceness: 5,
    });
  });

  test('keeps what is given, zeros included', () => {
    const given = { maxMemoryBytes: 0, niceness: 0, deviceId: 0, cpuFallback: false, threads: 3 };
    expect(resolveOnnxInit(given)).toMatchObject(given);
  });

  test.each<[field: keyof OnnxBackendInit, low: number, high: number]>([
    ['deviceId', 0, 1024],
    ['threads', 1, 1024],
    ['maxMemoryBytes', 0, Number.MAX_SAFE_INTEGER],
    ['maxResponseBytes', 1, MAX_BODY_BYTES],
    ['loadTimeoutMs', 1, 3_600_000],
    ['maxCrashes', 1, 1_000],
    ['niceness', 0, 19],
    ['loopLimitMs', 0, 3_600_000],
  ])('%s takes %i to %i and refuses what is beyond, by name', (field, low, high) => {
    for (const value of [low, high]) {
      expect(resolveOnnxInit({ [field]: value })).toMatchObject({ [field]: value });
    }
    for (const value of [low - 1, high + 1, low + 0.5, Number.NaN]) {
      expect(() => resolveOnnxInit({ [field]: value })).toThrow(
        expect.objectContaining({
          code: 'ERR_CONFIG',
          message: expect.stringContaining(`${field} is`),
        }),
      );
    }
  });

  test('refuses an empty list of providers, and takes a function', () => {
    expect(() => resolveOnnxInit({ providers: [] })).toThrow('providers is empty');
    const providers = async () => ['cpu'];
    expect(resolveOnnxInit({ providers }).providers).toBe(providers);
  });
});
