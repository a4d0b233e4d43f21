import { describe, expect, test } from 'vitest';
import { childEnvironment, deviceEnvironment } from '../../../../node/backend/child-environment.ts';

describe('childEnvironment', () => {
  const host = {
    PATH: '/bin',
    LANG: 'C.UTF-8',
    LD_LIBRARY_PATH: '/opt/cuda/lib64',
    CUDA_VISIBLE_DEVICES: '1',
    HOME: '/home/owner',
    TMPDIR: '/var/tmp',
    AWS_SECRET_ACCESS_KEY: 'secret',
    NODE_OPTIONS: '--inspect',
    SSH_AUTH_SOCK: '/run/agent',
    VK_ICD_FILENAMES: undefined,
  };

  test('passes on libraries, devices and locale, and nothing that could be a secret or change Node', () => {
    expect(childEnvironment(host, '/private')).toEqual({
      PATH: '/bin',
      LANG: 'C.UTF-8',
      LD_LIBRARY_PATH: '/opt/cuda/lib64',
      CUDA_VISIBLE_DEVICES: '1',
      CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
      ORT_DISABLE_TELEMETRY: '1',
      UV_THREADPOOL_SIZE: '1',
      MALLOC_ARENA_MAX: '2',
      MALLOC_MMAP_THRESHOLD_: '33554432',
      MALLOC_TRIM_THRESHOLD_: '33554432',
      HOME: '/private',
      TMPDIR: '/private',
      TEMP: '/private',
      TMP: '/private',
    });
  });

  test('shares the compiled code of this package where its own is kept', () => {
    const environment = childEnvironment(host, '/private', '/cache');
    expect(environment['NODE_COMPILE_CACHE']).toBe('/cache');
  });

  test('keeps ONNX Runtime from reporting, whatever the host says', () => {
    const environment = childEnvironment({ ORT_DISABLE_TELEMETRY: '0' }, '/private');
    expect(environment['ORT_DISABLE_TELEMETRY']).toBe('1');
  });
});

describe('deviceEnvironment', () => {
  test('is what decides on devices, without path and locale', () => {
    const host = { PATH: '/bin', CUDA_PATH: '/opt/cuda', LANG: 'C', VK_DRIVER_FILES: undefined };
    expect(deviceEnvironment(host)).toEqual({ CUDA_PATH: '/opt/cuda' });
  });
});
