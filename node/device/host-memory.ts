import os from 'node:os';
import type { MemoryPool } from '../../src/policy/memory-budget.ts';

/** Bytes of memory this host or, in a container, this process may use. */
export function hostMemoryBytes(): number {
  const total = os.totalmem();
  // 0, or more than there is, where nothing constrains it.
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(total, constrained) : total;
}

/** The host's memory, of which models may take so much together. */
export function hostMemoryPool(totalBytes: number): MemoryPool {
  // Elsewhere than on Linux what the system could free for us does not count as available, and nothing would fit.
  const availableBytes = process.platform === 'linux' ? process.availableMemory() : null;
  return { id: 'host', totalBytes, availableBytes };
}
