import os from 'node:os';

/** Bytes of memory this host or, in a container, this process may use. */
export function hostMemoryBytes(): number {
  const total = os.totalmem();
  // 0, or more than there is, where nothing constrains it.
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(total, constrained) : total;
}
