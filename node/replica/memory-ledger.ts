import { formatBytes } from '../../protocols/byte-size.ts';
import { BusyError, LimitError } from '../../protocols/errors.ts';
import type { VersionCid } from '../../protocols/types.ts';
import {
  freeBytes,
  type MemoryPlan,
  type MemoryPool,
  planMemory,
  type Resident,
} from '../../src/policy/memory-budget.ts';

/** Milliseconds after which a load that found no room should be asked for again: requests end, and versions fall idle. */
const ROOM_RETRY_MS = 2_000;

/** Bytes wanted of one pool. */
export interface MemoryClaim {
  readonly pool: string;
  readonly bytes: number;
}

/** How a version that is in memory stands, apart from the bytes it takes. */
export type Standing = Pick<Resident, 'busy' | 'lastUsedMs' | 'uses' | 'loadMs'>;

export interface MemoryLedgerComponents {
  /** The pools there are, with what the system says of them now. */
  readonly pools: () => readonly MemoryPool[];
  readonly standing: (cid: VersionCid) => Standing;
  /**
   * Takes an idle version out of memory; resolves when its memory is back. From the call on it takes no request. It ends its own
   * {@link MemoryLease}.
   */
  readonly evict: (cid: VersionCid) => Promise<void>;
}

/** Whether idle versions may leave for a load: all of them, none, or those of which it is true. */
export type Evictable = boolean | ((cid: VersionCid) => boolean);

export interface ReserveOptions {
  /** Which idle versions may leave for it. @default true */
  readonly evict?: Evictable | undefined;
}

/** What a version has of the memory, from before it is loaded until after its process has ended. */
export interface MemoryLease {
  /** Replaces what was estimated of a pool by what is measured, now and whenever it is asked for; null leaves the estimate. */
  settle(pool: string, measuredBytes: () => number | null): void;
  /** Gives all of it back. Idempotent. */
  release(): void;
}

interface Entry {
  readonly cid: VersionCid;
  readonly estimates: ReadonlyMap<string, number>;
  readonly measured: Map<string, () => number | null>;
  leaving: boolean;
}

/** A pool of memory and what models have of it. */
export interface MemoryStatus {
  /** `host`, `gpu0`, `gpu1`, … */
  readonly pool: string;
  /** Bytes that models may take together; null when unknown. */
  readonly totalBytes: number | null;
  readonly usedBytes: number;
}

/** Who has how much of the memory that models may take. Nothing is loaded that has no entry here. */
export class MemoryLedger {
  readonly #components: MemoryLedgerComponents;
  readonly #entries = new Set<Entry>();

  constructor(components: MemoryLedgerComponents) {
    this.#components = components;
  }

  /**
   * Reserves what a load will take, before it begins. Idle versions leave where that makes the room, and are gone when this
   * resolves.
   *
   * @throws {ERR_LIMIT} when it would not fit even alone, {ERR_BUSY} when it does not fit now; both with `pool`, `neededBytes`,
   * `freeBytes`, `idleBytes` and `totalBytes` in `details`.
   */
  async reserve(
    cid: VersionCid,
    claims: readonly MemoryClaim[],
    { evict = true }: ReserveOptions = {},
  ): Promise<MemoryLease> {
    const victims = new Set<string>();
    for (const claim of claims) {
      const plan = this.#plan(claim, evict);
      if (!plan.fits) throw refusal(claim.pool, plan);
      for (const victim of plan.victims) victims.add(victim.cid);
    }
    const entry: Entry = {
      cid,
      estimates: new Map(claims.map(({ pool, bytes }) => [pool, bytes])),
      measured: new Map(),
      leaving: false,
    };
    // From here on the room is taken: whoever plans next sees this entry, and the victims as no longer idle.
    this.#entries.add(entry);
    try {
      await this.#evict(victims);
    } catch (error) {
      this.#entries.delete(entry);
      throw error;
    }
    return {
      settle: (pool, measuredBytes) => entry.measured.set(pool, measuredBytes),
      release: () => this.#entries.delete(entry),
    };
  }

  /** Each pool and what models have of it. */
  get memory(): MemoryStatus[] {
    return this.#components.pools().map(({ id, totalBytes }) => ({
      pool: id,
      totalBytes,
      usedBytes: this.usedBytes(id),
    }));
  }

  /** Bytes that a load could have of a pool now without anyone leaving. */
  freeBytes(pool: string): number {
    return freeBytes(this.#pool(pool), this.#residents(pool));
  }

  /** Bytes that a load could have of a pool now if those idle versions left that may; null when nobody can say. */
  roomBytes(pool: string, mayLeave: (cid: VersionCid) => boolean): number | null {
    const { totalBytes, availableBytes } = this.#pool(pool);
    if (totalBytes === null && availableBytes === null) return null;
    const idle = this.#residents(pool).filter(
      ({ busy, settled, cid }) => !busy && settled && mayLeave(cid),
    );
    return this.freeBytes(pool) + idle.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Bytes that stand against a pool, reserved ones included. */
  usedBytes(pool: string): number {
    return this.#residents(pool).reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /**
   * Has idle versions leave until a pool is within its total again: models grow while they run, and estimates are wrong.
   *
   * @returns bytes still over it when nothing idle is left; 0 when it is within.
   */
  async reconcile(pool: string): Promise<number> {
    const { totalBytes } = this.#pool(pool);
    const residents = this.#residents(pool);
    const plan = planMemory(
      { id: pool, totalBytes, availableBytes: null },
      residents,
      0,
      performance.now(),
    );
    const idle = residents.filter(({ busy, settled }) => !busy && settled);
    await this.#evict(new Set((plan.fits ? plan.victims : idle).map(({ cid }) => cid)));
    return plan.fits || totalBytes === null ? 0 : this.usedBytes(pool) - totalBytes;
  }

  #plan({ pool, bytes }: MemoryClaim, evict: Evictable): MemoryPlan {
    const residents = this.#residents(pool).map((resident) => {
      const stays = typeof evict === 'function' ? !evict(resident.cid) : !evict;
      return stays ? { ...resident, busy: true } : resident;
    });
    return planMemory(this.#pool(pool), residents, bytes, performance.now());
  }

  #pool(id: string): MemoryPool {
    const pool = this.#components.pools().find((known) => known.id === id);
    return pool ?? { id, totalBytes: null, availableBytes: null };
  }

  #residents(pool: string): (Resident & { readonly cid: VersionCid })[] {
    return [...this.#entries].flatMap(({ cid, estimates, measured, leaving }) => {
      const estimate = estimates.get(pool);
      if (estimate === undefined) return [];
      const found = measured.get(pool)?.() ?? null;
      const standing = this.#components.standing(cid);
      return [
        {
          cid,
          bytes: found ?? estimate,
          settled: measured.has(pool),
          ...standing,
          busy: leaving || standing.busy,
        },
      ];
    });
  }

  async #evict(cids: ReadonlySet<string>): Promise<void> {
    const leaving = [...this.#entries].filter(({ cid }) => cids.has(cid));
    for (const entry of leaving) entry.leaving = true;
    await Promise.all(leaving.map(async ({ cid }) => this.#components.evict(cid)));
  }
}

function refusal(pool: string, plan: MemoryPlan & { readonly fits: false }): Error {
  const { never, neededBytes, freeBytes, idleBytes, totalBytes } = plan;
  const details = { pool, neededBytes, freeBytes, idleBytes, totalBytes };
  const [needed, total] = [formatBytes(neededBytes), formatBytes(totalBytes)];
  const whose = pool === 'host' ? "the host's memory" : `the memory of ${pool}`;
  if (never) {
    return new LimitError(
      `version needs ${needed} of ${whose}, this node gives its models ${total} in all`,
      { details },
    );
  }
  return new BusyError(
    `version needs ${needed} of ${whose}, this node has ${formatBytes(freeBytes)} free and ${formatBytes(idleBytes)} idle of ${total}`,
    ROOM_RETRY_MS,
    { details },
  );
}
