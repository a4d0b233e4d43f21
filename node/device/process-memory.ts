import { readFileSync } from 'node:fs';

/**
 * Bytes of memory that a process has for itself alone: what comes back when it ends. The runtime's code, some 80 MiB of a model's
 * resident 150, lies in memory once for all of them and counts for none.
 *
 * @returns null where the system does not tell: elsewhere than on Linux, or when the process is gone.
 */
export function privateBytes(pid: number | undefined): number | null {
  if (process.platform !== 'linux' || pid === undefined) return null;
  let status: string;
  try {
    // A file of the kernel's, made on reading: it waits for no disk.
    status = readFileSync(`/proc/${pid}/status`, 'latin1');
  } catch {
    return null;
  }
  const bytes = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024;
  const sum = bytes('RssAnon') + bytes('RssShmem');
  // A zombie has none and is about to be gone.
  return sum === 0 ? null : sum;
}
