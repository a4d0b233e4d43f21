import { describe, expect, test } from 'vitest';
import { GpuMemory } from '../../../../node/device/gpu-memory.ts';
import type { NvidiaGpu } from '../../../../node/device/nvidia-smi.ts';

const GPU: NvidiaGpu = {
  index: 3,
  uuid: 'GPU-a',
  name: 'NVIDIA T4',
  memoryBytes: 1_000,
  freeBytes: 900,
  busyPercent: 10,
  driverVersion: '550',
};

describe('GpuMemory', () => {
  test('gives models most of a GPU, and of one whose memory is unknown no bound', () => {
    const memory = new GpuMemory();
    const shared = { ...GPU, uuid: 'GPU-b', memoryBytes: null, freeBytes: null };
    memory.found([
      { gpu: GPU, providers: ['cuda'] },
      { gpu: shared, providers: ['webgpu'] },
    ]);
    expect(memory.pools).toEqual([
      { id: 'gpu0', totalBytes: 950, availableBytes: 900 },
      { id: 'gpu1', totalBytes: null, availableBytes: null },
    ]);
    expect(memory.poolsOf('cuda')).toEqual(['gpu0']);
    expect(memory.poolsOf('webgpu')).toEqual([]);
    expect(memory.pinOf('gpu0')).toBe('GPU-a');
    expect(memory.pinOf(null)).toBeUndefined();
  });

  test('takes figures from each look, and has none of a GPU that a look does not show', () => {
    const memory = new GpuMemory();
    memory.found([{ gpu: GPU, providers: ['cuda'] }]);
    memory.looked([{ ...GPU, freeBytes: 5, busyPercent: 0 }], [{ pid: 1, memoryBytes: 7 }]);
    expect(memory.devices).toEqual([
      {
        kind: 'gpu',
        name: 'NVIDIA T4',
        memoryBytes: 1_000,
        providers: ['cuda'],
        freeBytes: 5,
        busyPercent: 0,
      },
    ]);
    expect([memory.bytesOf(1), memory.bytesOf(2), memory.bytesOf(undefined)]).toEqual([
      7,
      null,
      null,
    ]);
    memory.looked([], null);
    expect(memory.devices).toEqual([
      { kind: 'gpu', name: 'NVIDIA T4', memoryBytes: 1_000, providers: ['cuda'] },
    ]);
    expect(memory.bytesOf(1)).toBeNull();
  });
});
