import type { VersionCid } from '../../protocols/types.ts';
import type { GpuMemory } from '../device/gpu-memory.ts';
import type { MemoryLedger } from '../replica/memory-ledger.ts';
import type { VersionStore } from '../store/version-store.ts';

/** Milliseconds for which a look at the disk holds: it goes through all files of the store. */
const DISK_LOOK_MS = 30_000;

export interface NodeRoomComponents {
  readonly ledger: Pick<MemoryLedger, 'roomBytes'>;
  readonly gpus: Pick<GpuMemory, 'pools'>;
  readonly store: Pick<VersionStore, 'freeBytes'>;
  /** Whether a version that is idle may leave memory for another. */
  readonly mayLeave: (cid: VersionCid) => boolean;
}

/** How much further versions may take of this node's memory and disk. */
export class NodeRoom {
  readonly #components: NodeRoomComponents;
  #disk: { readonly freeBytes: number; readonly atMs: number } | undefined;

  constructor(components: NodeRoomComponents) {
    this.#components = components;
  }

  /** Of the GPU with most room where there are GPUs that models are pinned to, else of the host; null when nobody can say. */
  get memoryFreeBytes(): number | null {
    const { gpus, ledger, mayLeave } = this.#components;
    const pools = gpus.pools.map(({ id }) => id);
    const rooms = (pools.length === 0 ? ['host'] : pools).map((pool) =>
      ledger.roomBytes(pool, mayLeave),
    );
    const known = rooms.filter((bytes) => bytes !== null);
    return known.length === 0 ? null : Math.max(...known);
  }

  /** By the last look; null before the first. */
  get diskFreeBytes(): number | null {
    return this.#disk?.freeBytes ?? null;
  }

  /** Looks at the disk, if the last look is old. */
  async look(nowMs = performance.now()): Promise<void> {
    if (this.#disk !== undefined && nowMs - this.#disk.atMs < DISK_LOOK_MS) return;
    this.#disk = { freeBytes: await this.#components.store.freeBytes(), atMs: nowMs };
  }
}
