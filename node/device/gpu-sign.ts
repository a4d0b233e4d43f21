import { readdir } from 'node:fs/promises';

/** Device files that GPU drivers make on Linux: NVIDIA's, those of all others, AMD's compute driver, Windows' in WSL. */
const DEVICE_FILES: readonly { readonly folder: string; readonly name: RegExp }[] = [
  { folder: '/dev', name: /^nvidia\d+$/ },
  { folder: '/dev/dri', name: /^renderD\d+$/ },
  { folder: '/dev', name: /^(?:kfd|dxg)$/ },
];

/**
 * Whether this host seems to have a GPU at all. Where it has none, a graphics API may still work, drawn by the CPU: right
 * and 15 to 60 times slower than the CPU's own kernels.
 */
export async function hasGpuSign(): Promise<boolean> {
  // The other systems' interfaces do not fall back to the CPU unasked.
  if (process.platform !== 'linux') return true;
  for (const { folder, name } of DEVICE_FILES) {
    const files = await readdir(folder).catch((): string[] => []);
    if (files.some((file) => name.test(file))) return true;
  }
  return false;
}
