import type { VersionCid } from '../../protocols/types.ts';

/** A version on a node's disk, as far as it matters whether it stays. */
export interface StoredCandidate {
  readonly cid: VersionCid;
  /** Bytes that its removal gives back; what it shares with another version on the disk does not count. */
  readonly freedBytes: number;
  readonly lastUsedMs: number;
  /** Times it was used: loads and requests. */
  readonly uses: number;
  /** Other peers that have all of it, as far as is known. */
  readonly otherHolders: number;
  /** Whether a release names it; unknown counts as yes. */
  readonly released: boolean;
  readonly pinned: boolean;
  /** Loaded, being loaded, fetched, or read by others. */
  readonly inUse: boolean;
}

/** What may go: all of it, or nothing when that would not be enough. */
export interface EvictionPlan {
  readonly victims: readonly StoredCandidate[];
  readonly freedBytes: number;
  /** True when the victims free what was asked for. */
  readonly enough: boolean;
}

/** Time in which what a past use says is worth half. */
const HALF_LIFE_MS = 7 * 24 * 3_600_000;

/** True when a version may never be evicted, whatever is asked for. */
export function mustStay({ pinned, inUse, released, otherHolders }: StoredCandidate): boolean {
  return pinned || inUse || (released && otherHolders === 0);
}

/**
 * What a version is worth for each byte it takes: uses, halved with every week since the last, times the cost to fetch it
 * again, which is its bytes shared by those who have it, divided by its bytes.
 *
 * @see Cherkasova, "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching Policy", HP Labs 1998
 */
export function worthPerByte(candidate: StoredCandidate, nowMs: number): number {
  const ageMs = Math.max(0, nowMs - candidate.lastUsedMs);
  const uses = (1 + candidate.uses) * 2 ** (-ageMs / HALF_LIFE_MS);
  return uses / Math.max(1, candidate.otherHolders);
}

/**
 * Chooses what leaves a disk that lacks room: the least worth first, and of those no more than needed. When even all that may
 * go does not free enough, nothing goes.
 */
export function planEviction(
  candidates: readonly StoredCandidate[],
  neededBytes: number,
  nowMs: number,
): EvictionPlan {
  const ranked = candidates
    .filter((candidate) => !mustStay(candidate) && candidate.freedBytes > 0)
    .toSorted(
      (a, b) => worthPerByte(a, nowMs) - worthPerByte(b, nowMs) || b.freedBytes - a.freedBytes,
    );
  const taken: StoredCandidate[] = [];
  let freedBytes = 0;
  for (const candidate of ranked) {
    if (freedBytes >= neededBytes) break;
    taken.push(candidate);
    freedBytes += candidate.freedBytes;
  }
  if (freedBytes < neededBytes) return { victims: [], freedBytes, enough: false };
  // A large one that came last may have made small ones before it needless; the most worth is spared first.
  const victims = taken.toReversed().filter((candidate) => {
    if (freedBytes - candidate.freedBytes < neededBytes) return true;
    freedBytes -= candidate.freedBytes;
    return false;
  });
  return { victims: victims.toReversed(), freedBytes, enough: true };
}
