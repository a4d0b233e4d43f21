import type { VersionCid } from '../../protocols/types.ts';
import { hostMemoryPool } from '../device/host-memory.ts';
import type { MemoryLeaveComponents } from './memory-leave.ts';
import { MemoryLedger, type Standing } from './memory-ledger.ts';
import type { Replica } from './replica.ts';
import { ReplicaLoader } from './replica-loader.ts';
import type { ReplicaSetComponents, ReplicaSetInit } from './replica-set-init.ts';
import { VersionMemory } from './version-memory.ts';

/** Of what is not known, and of what the operator has pinned: it does not leave for another. */
const UNMOVED: Standing = { busy: true, lastUsedMs: 0, uses: 0, loadMs: 0 };

export interface ReplicaMemoryComponents {
  readonly parts: ReplicaSetComponents;
  readonly leaving: MemoryLeaveComponents;
  readonly get: (cid: VersionCid) => Replica | undefined;
  /** Why nothing is loaded now; undefined when it is. */
  readonly resting: () => string | undefined;
  /** Takes a version out of memory. */
  readonly sleep: (cid: VersionCid, why: string) => Promise<void>;
  /** Aborts when the node stops. */
  readonly signal: AbortSignal;
}

/** Who has how much of this node's memory, and what brings versions there. */
export function createReplicaMemory(
  { parts, leaving, get, resting, sleep, signal }: ReplicaMemoryComponents,
  init: ReplicaSetInit,
): { readonly ledger: MemoryLedger; readonly loader: ReplicaLoader } {
  const { threads, logger, maxMemoryBytes } = init;
  const ledger = new MemoryLedger({
    pools: () => [hostMemoryPool(maxMemoryBytes), ...parts.gpus.pools],
    standing: (cid) => (parts.policy.isPinned(cid) ? UNMOVED : (get(cid)?.standing ?? UNMOVED)),
    evict: (cid) => sleep(cid, 'its memory was needed'),
  });
  const memory = new VersionMemory({ ...parts, ledger, threads, logger });
  return {
    ledger,
    loader: new ReplicaLoader({ parts, memory, leaving, resting, sleep, signal }, init),
  };
}
