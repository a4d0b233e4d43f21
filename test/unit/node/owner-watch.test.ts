import { describe, expect, it } from 'vitest';
import type { GpuProcess } from '../../../node/device/nvidia-smi.ts';
import { OwnerWatch, type OwnerWatchInit } from '../../../node/owner-watch.ts';
import { QUIET_LOOKS } from '../../../src/policy/yielding.ts';

function prepare(init: Partial<OwnerWatchInit>) {
  const causes = new Map<string, string>();
  const host = { time: new Date(2026, 0, 1, 12, 0), processes: [] as GpuProcess[] };
  const watch = new OwnerWatch(
    {
      pause: {
        set: (cause, reason) => {
          if (reason === undefined) causes.delete(cause);
          else causes.set(cause, reason);
        },
      },
      gpuProcesses: () => host.processes,
      now: () => host.time,
      // 1 belongs to somebody else, 2 is a child of this process, the system does not show 3.
      parentOf: (pid) => ({ 1: 0, 2: process.pid })[pid] ?? null,
    },
    { hours: undefined, yieldGpu: false, ...init },
  );
  const look = () => {
    watch.look();
    return [...causes.keys()];
  };
  return { watch, look, host };
}

const on = (...pids: number[]) => pids.map((pid) => ({ pid, memoryBytes: null }));

describe('OwnerWatch', () => {
  it('pauses outside the hours, by the local clock', () => {
    const { look, host } = prepare({ hours: { fromMinute: 22 * 60, toMinute: 7 * 60 } });
    expect(look()).toEqual(['hours']);
    host.time = new Date(2026, 0, 1, 22, 0);
    expect(look()).toEqual([]);
    host.time = new Date(2026, 0, 2, 7, 0);
    expect(look()).toEqual(['hours']);
  });

  it("leaves the GPU to another's process, not for its own children, nor for one it cannot see", () => {
    const { look, host } = prepare({ yieldGpu: true });
    host.processes = on(2, 3);
    expect(look()).toEqual([]);
    host.processes = on(2, 1);
    expect(look()).toEqual(['yield']);
    host.processes = on(2);
    const looks = Array.from({ length: QUIET_LOOKS }, () => look().length);
    expect(looks.at(-2)).toBe(1);
    expect(looks.at(-1)).toBe(0);
  });

  it('does nothing that its owner did not ask for', () => {
    const { look, host } = prepare({});
    host.processes = on(1);
    expect(look()).toEqual([]);
  });
});
