/** A kind of memory that models share on one host: the host's own, or that of one GPU. */
export interface MemoryPool {
  /** `host`, or `gpu0`, `gpu1`, … as the driver counts. */
  readonly id: string;
  /** Bytes that models may take together; null when nobody can say, and then nothing is refused for want of it. */
  readonly totalBytes: number | null;
  /** Bytes that the system says are free at this moment, whoever took the rest; null when unknown. */
  readonly availableBytes: number | null;
}

/** What stands in a pool: measured, or only reserved while it loads. */
export interface Resident {
  readonly cid: string;
  readonly bytes: number;
  /** False while `bytes` are reserved and not yet, or not all, taken from the system. */
  readonly settled: boolean;
  /** Loading, running a request, or expecting one: it stays, whatever is asked for. */
  readonly busy: boolean;
  readonly lastUsedMs: number;
  /** Requests answered since it was loaded. */
  readonly uses: number;
  /** Milliseconds that its last load took: what it costs to have it back. */
  readonly loadMs: number;
}

/** What a load may do: go on at once, go on when `victims` are out of memory, or not at all. */
export type MemoryPlan =
  | { readonly fits: true; readonly victims: readonly Resident[] }
  | {
      readonly fits: false;
      /** True when even an empty pool would be too small. */
      readonly never: boolean;
      readonly neededBytes: number;
      readonly freeBytes: number;
      /** Of idle versions, which could be evicted. */
      readonly idleBytes: number;
      readonly totalBytes: number;
    };

/** Time in which what a past request says of a version in memory is worth half. */
const HALF_LIFE_MS = 10 * 60_000;

/** Bytes free in a pool: of its total, what is not reserved, and of the system, what nobody is about to take. */
export function freeBytes(pool: Omit<MemoryPool, 'id'>, residents: readonly Resident[]): number {
  return Math.max(0, balanceBytes(pool, residents));
}

/** As {@link freeBytes}, but below 0 where models take more than there is: whoever comes has to make that good too. */
function balanceBytes(
  { totalBytes, availableBytes }: Omit<MemoryPool, 'id'>,
  residents: readonly Resident[],
): number {
  let reserved = 0;
  let pending = 0;
  for (const { bytes, settled } of residents) {
    reserved += bytes;
    if (!settled) pending += bytes;
  }
  const ofTotal = totalBytes === null ? Number.POSITIVE_INFINITY : totalBytes - reserved;
  const ofSystem = availableBytes === null ? Number.POSITIVE_INFINITY : availableBytes - pending;
  return Math.min(ofTotal, ofSystem);
}

/**
 * What a version is worth for each byte of memory it takes: its requests, halved with every ten minutes since the last, times
 * what it costs to have it back.
 *
 * @see Cherkasova, "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching Policy", HP Labs 1998
 */
export function worthPerByte(resident: Resident, nowMs: number): number {
  const ageMs = Math.max(0, nowMs - resident.lastUsedMs);
  const uses = (1 + resident.uses) * 2 ** (-ageMs / HALF_LIFE_MS);
  return (uses * Math.max(1, resident.loadMs)) / Math.max(1, resident.bytes);
}

/**
 * Makes room for a load: idle versions leave, the least worth first, and of those no more than needed. When all of them
 * would not be enough, none leaves.
 */
export function planMemory(
  pool: MemoryPool,
  residents: readonly Resident[],
  neededBytes: number,
  nowMs: number,
): MemoryPlan {
  const balance = balanceBytes(pool, residents);
  if (neededBytes <= balance) return { fits: true, victims: [] };
  const idle = residents
    .filter(({ busy, settled }) => !busy && settled)
    .toSorted((a, b) => worthPerByte(a, nowMs) - worthPerByte(b, nowMs) || b.bytes - a.bytes);
  const taken: Resident[] = [];
  let gained = balance;
  for (const resident of idle) {
    if (gained >= neededBytes) break;
    taken.push(resident);
    gained += resident.bytes;
  }
  if (gained < neededBytes) {
    const totalBytes = pool.totalBytes ?? gained;
    return {
      fits: false,
      never: pool.totalBytes !== null && neededBytes > pool.totalBytes,
      neededBytes,
      freeBytes: Math.max(0, balance),
      idleBytes: idle.reduce((sum, { bytes }) => sum + bytes, 0),
      totalBytes,
    };
  }
  // A large one that came last may have made small ones before it needless; the most worth is spared first.
  const victims = taken.toReversed().filter(({ bytes }) => {
    if (gained - bytes < neededBytes) return true;
    gained -= bytes;
    return false;
  });
  return { fits: true, victims: victims.toReversed() };
}
