import os from 'node:os';
import { describe, expect, test, vi } from 'vitest';
import { describeCpu, MAX_DEVICE_NAME } from '../../../../node/device/cpu-device.ts';
import { hostMemoryBytes } from '../../../../node/device/host-memory.ts';

describe('describeCpu', () => {
  test.each<[model: string, name: string]>([
    ['  AMD   EPYC\t7763 ', 'AMD EPYC 7763'],
    ['', `${os.arch()} processor`],
    ['x'.repeat(MAX_DEVICE_NAME + 1), 'x'.repeat(MAX_DEVICE_NAME)],
  ])('calls a processor that the system calls %j %j', (model, name) => {
    const [cpu] = os.cpus();
    if (cpu === undefined) throw new Error('no processor');
    const spy = vi.spyOn(os, 'cpus').mockReturnValue([{ ...cpu, model }]);
    expect(describeCpu(['cpu'])).toEqual({
      kind: 'cpu',
      name,
      memoryBytes: hostMemoryBytes(),
      providers: ['cpu'],
    });
    spy.mockRestore();
  });
});

describe('hostMemoryBytes', () => {
  test.each<[what: string, constrained: number, expected: number]>([
    ['the host’s when nothing constrains it', 0, os.totalmem()],
    ['the host’s when the bound is above it', 2 ** 63, os.totalmem()],
    ['the container’s when that has less', 1024 ** 3, 1024 ** 3],
  ])('is %s', (_, constrained, expected) => {
    const spy = vi.spyOn(process, 'constrainedMemory').mockReturnValue(constrained);
    expect(hostMemoryBytes()).toBe(expected);
    spy.mockRestore();
  });
});
