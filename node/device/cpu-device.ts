import os from 'node:os';
import type { AnnouncedDevice } from '../../protocols/capacity/index.ts';
import { hostMemoryBytes } from './host-memory.ts';

/** Characters of a device's name that an announcement has room for. */
export const MAX_DEVICE_NAME = 128;

/** This host's processor, as the operating system names it. */
export function describeCpu(providers: readonly string[]): AnnouncedDevice {
  const cpus = os.cpus();
  const model = cpus[0]?.model.replace(/\s+/g, ' ').trim() ?? '';
  return {
    kind: 'cpu',
    // Virtual machines and ARM boards leave the model empty or 'unknown'.
    name: (model === '' ? `${os.arch()} processor` : model).slice(0, MAX_DEVICE_NAME),
    memoryBytes: hostMemoryBytes(),
    providers,
  };
}
