import type { VersionCid } from '../../protocols/types.ts';

/** A file that several versions on a disk have, by hard links: removing the last of them gives it back. */
export interface SharedFile {
  readonly id: string;
  readonly bytes: number;
  /** Versions that have it. */
  readonly versions: number;
}

/** A version on a node's disk, as far as it matters whether it stays. */
export interface StoredCandidate {
  readonly cid: VersionCid;
  /** Bytes that its removal alone gives back; files that another version on the disk has too do not count. */
  readonly freedBytes: number;
  readonly sharedFiles: readonly SharedFile[];
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
  readonly victims: readonly EvictionVictim[];
  readonly freedBytes: number;
  /** True when the victims free what was asked for. */
  readonly enough: boolean;
}

export interface EvictionVictim {
  readonly cid: VersionCid;
  /** Bytes that its removal gives back once those before it are gone. */
  readonly freedBytes: number;
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
    .filter((candidate) => !mustStay(candidate))
    .toSorted(
      (a, b) => worthPerByte(a, nowMs) - worthPerByte(b, nowMs) || b.freedBytes - a.freedBytes,
    );
  const taken: StoredCandidate[] = [];
  let freedBytes = 0;
  for (const candidate of ranked) {
    if (freedBytes >= neededBytes) break;
    taken.push(candidate);
    freedBytes = freedTogether(taken);
  }
  if (freedBytes < neededBytes) return { victims: [], freedBytes, enough: false };
  // A large one that came last may have made small ones before it needless; the most worth is spared first.
  let kept: readonly StoredCandidate[] = taken;
  for (const candidate of taken.toReversed()) {
    const without = kept.filter((one) => one !== candidate);
    if (freedTogether(without) >= neededBytes) kept = without;
  }
  const victims = kept.map(({ cid }, index) => ({
    cid,
    freedBytes: freedTogether(kept.slice(0, index + 1)) - freedTogether(kept.slice(0, index)),
  }));
  return { victims, freedBytes: freedTogether(kept), enough: true };
}

/** Bytes that removing some versions gives back, with the files that only they have. */
function freedTogether(candidates: readonly StoredCandidate[]): number {
  const gone = new Map<string, number>();
  let freedBytes = 0;
  for (const candidate of candidates) {
    freedBytes += candidate.freedBytes;
    for (const { id, bytes, versions } of candidate.sharedFiles) {
      const count = (gone.get(id) ?? 0) + 1;
      gone.set(id, count);
      if (count === versions) freedBytes += bytes;
    }
  }
  return freedBytes;
}
