import { readFileSync } from 'node:fs';

/**
 * Bytes of memory that a process has for itself alone: what comes back when it ends. The runtime's code, some 80 MiB of a model's
 * resident 150, lies in memory once for all of them and counts for none.
 *
 * @returns null where the system does not tell: elsewhere than on Linux, or when the process is gone.
 */
export function privateBytes(pid: number | undefined): number | null {
  if (process.platform !== 'linux' || pid === undefined) return null;
  const status = readStatus(pid);
  if (status === null) return null;
  const bytes = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024;
  const sum = bytes('RssAnon') + bytes('RssShmem');
  // A zombie has none and is about to be gone.
  return sum === 0 ? null : sum;
}

/** The parent of a process; null where the system does not tell: elsewhere than on Linux, or of a process it does not show. */
export function parentOf(pid: number): number | null {
  const parent = /^PPid:\s+(\d+)$/m.exec(readStatus(pid) ?? '')?.[1];
  return parent === undefined ? null : Number(parent);
}

function readStatus(pid: number): string | null {
  try {
    // A file of the kernel's, made on reading: it waits for no disk.
    return readFileSync(`/proc/${pid}/status`, 'latin1');
  } catch {
    return null;
  }
}
