import type { VersionCid } from '../../protocols/types.ts';

/** A file of a version, as far as others may have its bytes. */
export interface PackableFile {
  readonly path: string;
  readonly size: number;
  /** In the order of the file; digests are hexadecimal. */
  readonly chunks: readonly { readonly key: string; readonly size: number }[];
}

/** An undamaged version on a node's disk. */
export interface PackingCandidate {
  readonly cid: VersionCid;
  readonly files: readonly PackableFile[];
  /** False when its files must lie there whole: loaded, used a moment ago, or what a channel points at. */
  readonly idle: boolean;
  /** True when its files are not whole now: nothing can be based on them. */
  readonly packed: boolean;
  /** Milliseconds since 1970. */
  readonly lastUsedMs: number;
}

export interface FileName {
  readonly cid: VersionCid;
  readonly path: string;
}

/** A file to be kept as another version's file and the chunks that this has not. */
export interface PackedFilePlan {
  readonly path: string;
  readonly base: FileName;
  /** Bytes of the chunks that the base has not. */
  readonly ownBytes: number;
}

export interface VersionPackingPlan {
  readonly cid: VersionCid;
  readonly files: readonly PackedFilePlan[];
}

export interface PackingPlan {
  /** In the order in which it is to be done: a version that is a base now comes after those that leave it. */
  readonly versions: readonly VersionPackingPlan[];
  /** Versions whose files are whole and stay so: what is based on one of them is well based. */
  readonly whole: readonly VersionCid[];
}

/** Below this a file is not worth it: links, syncs and changes of the index cost more than the disk that they give back. */
export const MIN_SAVED_BYTES = 1024 * 1024;

/**
 * Least share of a file that packing must save. To pack reads the base once and to unpack writes the whole file again; and
 * when the base's own version goes, what is left is the base and the chunks beside it, which is more than the file was.
 */
export const MIN_SAVED_SHARE = 0.25;

/** True when disk that is given back is worth the work on a file, or on all that a version has. */
export function isWorthPacking(savedBytes: number, size: number): boolean {
  return savedBytes >= MIN_SAVED_BYTES && savedBytes >= size * MIN_SAVED_SHARE;
}

/**
 * Chooses which versions are kept as their difference from others. Versions that are in use stay whole, and so does the last
 * used of those that resemble no other; bases are whole versions only, so that no version depends on a second one.
 */
export function planPacking(candidates: readonly PackingCandidate[]): PackingPlan {
  const bases = new BaseFiles();
  const whole: VersionCid[] = [];
  const planned: VersionPackingPlan[] = [];
  const ranked = candidates.toSorted(
    (a, b) =>
      Number(a.packed) - Number(b.packed) ||
      Number(a.idle) - Number(b.idle) ||
      b.lastUsedMs - a.lastUsedMs ||
      (a.cid < b.cid ? -1 : 1),
  );
  for (const candidate of ranked) {
    const files = candidate.idle ? candidate.files.flatMap((file) => bases.plan(file) ?? []) : [];
    if (files.length > 0) planned.push({ cid: candidate.cid, files });
    else if (!candidate.packed) {
      whole.push(candidate.cid);
      bases.add(candidate);
    }
  }
  return { versions: planned.toReversed(), whole };
}

/** The files that others can be based on, by what is in them. */
class BaseFiles {
  readonly #byChunk = new Map<string, Set<FileName>>();

  add({ cid, files }: PackingCandidate): void {
    for (const { path, chunks } of files) {
      const name = { cid, path };
      for (const { key } of chunks) {
        const having = this.#byChunk.get(key) ?? new Set();
        this.#byChunk.set(key, having.add(name));
      }
    }
  }

  /** The base that has most of a file; undefined when none has enough. */
  plan({ path, size, chunks }: PackableFile): PackedFilePlan | undefined {
    const saved = new Map<FileName, number>();
    for (const { key, size: bytes } of chunks) {
      for (const name of this.#byChunk.get(key) ?? []) {
        saved.set(name, (saved.get(name) ?? 0) + bytes);
      }
    }
    const [best] = [...saved].toSorted((a, b) => b[1] - a[1]);
    if (best === undefined || !isWorthPacking(best[1], size)) return undefined;
    return { path, base: best[0], ownBytes: size - best[1] };
  }
}
