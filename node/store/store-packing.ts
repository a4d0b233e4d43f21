import { rm } from 'node:fs/promises';
import path from 'node:path';
import { digestText } from '../../protocols/digest.ts';
import { isSwarmError } from '../../protocols/errors.ts';
import { type ChunkList, type Manifest, manifestBytes } from '../../protocols/manifest/index.ts';
import type { AbortOptions, VersionCid } from '../../protocols/types.ts';
import { RETIRE_AFTER_MS } from '../../src/policy/retirement.ts';
import {
  isWorthPacking,
  type PackingCandidate,
  planPacking,
  type VersionPackingPlan,
} from '../../src/policy/store-packing.ts';
import type { BlockReader } from './block-reader.ts';
import { freeDiskBytes, RESERVED_DISK_BYTES } from './disk-room.ts';
import { basePath, packedFile, packedRoot, wholePath } from './packed-folder.ts';
import { type PackedFileLayout, PackedWriter } from './packed-writer.ts';
import { failureCode, storeFailure } from './store-failure.ts';
import type { StoreIndex, VersionEntry } from './store-index.ts';
import type { StoreFolders } from './store-folders.ts';
import { fileId, measureSpace } from './store-space.ts';
import type { VersionKnowledge } from './store-upkeep.ts';
import { readChunkLists } from './version-files.ts';
import type { VersionUses } from './version-uses.ts';

/** How file systems say that they have no hard links. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV']);

export interface PackOptions extends AbortOptions {
  /** Milliseconds without a use. @default {@link RETIRE_AFTER_MS} */
  readonly idleMs?: number | undefined;
}

/** A version that is stored otherwise than before. */
export interface RepackedVersion {
  readonly cid: VersionCid;
  readonly packed: boolean;
  /** Bytes that the store takes less than before; below 0 where a new base gives more back only with the version that is next. */
  readonly savedBytes: number;
}

export interface StorePackingComponents {
  readonly index: StoreIndex;
  readonly folders: StoreFolders;
  readonly uses: VersionUses;
  readonly reader: BlockReader;
  /** Undefined when nobody knows what is in use: then nothing is packed. */
  readonly knowledge: VersionKnowledge | undefined;
  /** True while a version is fetched, removed or packed. */
  readonly underway: (cid: VersionCid) => boolean;
  /** Keeps others off a version until what it gives is called; throws ERR_STORE when another has it. */
  readonly take: (cid: VersionCid) => () => void;
  /** Puts the files of a packed version in their place, whole. */
  readonly unpack: (cid: VersionCid, signal: AbortSignal) => Promise<void>;
}

/** One version as it lies on the disk. */
interface Stored {
  readonly cid: VersionCid;
  readonly entry: VersionEntry;
  readonly manifest: Manifest;
  readonly lists: readonly ChunkList[];
}

/** Keeps versions that are not in use as their difference from those that are, `PackedFolder`. */
export class StorePacking {
  readonly #components: StorePackingComponents;
  /** The version that is being packed, and what ends that. */
  #current: { cid: VersionCid; stop: AbortController; done: Promise<unknown> } | undefined;
  /** What the last pass saw and left as it was: looked at again when it is another. */
  #settled = '';
  /** True when a pass changed something, or gave something up that may work the next time. */
  #unfinished = false;
  #linkable = true;
  #closed = false;

  constructor(components: StorePackingComponents) {
    this.#components = components;
  }

  /** Packs what can be, and unpacks what takes more that way. One pass at a time. */
  async *pack({
    idleMs = RETIRE_AFTER_MS,
    signal,
  }: PackOptions = {}): AsyncGenerator<RepackedVersion> {
    const { knowledge, unpack } = this.#components;
    if (knowledge === undefined || !this.#linkable || this.#current !== undefined) return;
    const candidates = await this.#candidates(knowledge, idleMs);
    const seen = JSON.stringify(candidates.map(({ cid, idle, packed }) => [cid, idle, packed]));
    if (seen === this.#settled) return;
    const plan = planPacking(candidates);
    const bases = await this.#fileIds(plan.whole);
    this.#unfinished = false;
    for (const version of plan.versions) {
      const packed = await this.#measured(version.cid, signal, (stop) =>
        this.#packOne(version, bases, stop),
      );
      if (packed === undefined) continue;
      this.#unfinished = true;
      yield { ...packed, packed: true };
    }
    for (const { cid, packed, idle } of candidates) {
      if (!packed || !idle || !(await this.#isSmallerWhole(cid))) continue;
      const before = await this.#usedBytes();
      await unpack(cid, signal ?? new AbortController().signal);
      this.#unfinished = true;
      yield { cid, packed: false, savedBytes: before - (await this.#usedBytes()) };
    }
    this.#settled = this.#unfinished ? '' : seen;
  }

  /** Gives up packing a version, which somebody else wants to work on; settles when it is left. */
  async leave(cid: VersionCid): Promise<void> {
    if (this.#current?.cid !== cid) return;
    this.#current.stop.abort(new DOMException(`version ${cid} is wanted`, 'AbortError'));
    await this.#current.done;
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#current !== undefined) await this.leave(this.#current.cid);
  }

  /** Packs one version and says what that saved; undefined when it was left as it is. */
  async #measured(
    cid: VersionCid,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<boolean>,
  ): Promise<Pick<RepackedVersion, 'cid' | 'savedBytes'> | undefined> {
    signal?.throwIfAborted();
    const { take, underway } = this.#components;
    if (this.#closed || underway(cid)) return undefined;
    const stop = new AbortController();
    const release = take(cid);
    const before = await this.#usedBytes();
    const both = signal === undefined ? stop.signal : AbortSignal.any([stop.signal, signal]);
    const working = work(both).finally(release);
    this.#current = { cid, stop, done: working.catch(() => undefined) };
    try {
      if (!(await working)) return undefined;
    } catch (error) {
      signal?.throwIfAborted();
      if (!this.#mayFail(error, stop.signal))
        throw storeFailure(`version ${cid} cannot be packed`, error);
      return undefined;
    } finally {
      this.#current = undefined;
    }
    return { cid, savedBytes: before - (await this.#usedBytes()) };
  }

  /** Whether a version may be left as it is after a failure, and tried again when it comes to that. */
  #mayFail(error: unknown, left: AbortSignal): boolean {
    const code = failureCode(error) ?? '';
    this.#unfinished = true;
    if (NO_LINKS.has(code)) this.#linkable = false;
    // Somebody wants the version, its base was removed, or a chunk of it is damaged, which its readers find too.
    const passing = left.aborted || ['ENOENT', 'ENOSPC', 'EDQUOT'].includes(code);
    return passing || NO_LINKS.has(code) || (isSwarmError(error) && error.code === 'ERR_CORRUPT');
  }

  async #packOne(
    plan: VersionPackingPlan,
    bases: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { index, folders, reader, knowledge } = this.#components;
    const { cid } = plan;
    const stored = await this.#stored(cid);
    if (stored === undefined) return false;
    const layout = await this.#layout(stored, plan, bases);
    if (layout === undefined || !(await this.#hasRoom(layout))) return false;
    const before = stored.entry.packed;
    const packed = (before ?? 0) + 1;
    const root = packedRoot(folders.packed, cid, packed);
    const find = (digest: Uint8Array): Promise<Uint8Array | undefined> => reader.find(digest);
    try {
      const places = await new PackedWriter({ root, find, signal }).write(layout);
      signal.throwIfAborted();
      if (knowledge?.inUse(cid) !== false) throw new DOMException('in use by now', 'AbortError');
      await index.packVersion(cid, packed, places);
    } catch (error) {
      await rm(root, { recursive: true, force: true });
      throw error;
    }
    const old =
      before === undefined
        ? path.join(folders.versions, cid)
        : packedRoot(folders.packed, cid, before);
    for (const folder of [old, path.join(folders.derived, cid)]) {
      await rm(folder, { recursive: true, force: true });
    }
    return true;
  }

  /** How each file is to be kept; undefined when that is as it is now. */
  async #layout(
    stored: Stored,
    plan: VersionPackingPlan,
    bases: ReadonlySet<string>,
  ): Promise<PackedFileLayout[] | undefined> {
    const { folders } = this.#components;
    const { cid, entry, manifest, lists } = stored;
    let changes = false;
    const files: PackedFileLayout[] = [];
    for (const [file, { path: name }] of manifest.files.entries()) {
      const list = lists[file] ?? [];
      const { whole, base } = placesOf(folders, { cid, name, packed: entry.packed });
      const found = await fileId(whole);
      // A file that has another name is there once, whatever becomes of this one.
      const stays =
        found === undefined ? bases.has((await fileId(base))?.id ?? '') : found.links > 1;
      const planned = stays ? undefined : plan.files.find((one) => one.path === name);
      const inBase = planned && (await this.#offsets(planned.base));
      if (planned !== undefined && inBase !== undefined) {
        changes = true;
        const from = path.join(folders.versions, planned.base.cid, planned.base.path);
        files.push({ name, list, from, inBase });
      } else if (found !== undefined) files.push({ name, list, from: whole, inBase: undefined });
      else
        files.push({ name, list, from: base, inBase: await this.#keptOffsets(stored, name, list) });
    }
    return changes ? files : undefined;
  }

  /** Where a whole file has its chunks. */
  async #offsets(base: {
    readonly cid: VersionCid;
    readonly path: string;
  }): Promise<Map<string, number> | undefined> {
    const stored = await this.#stored(base.cid);
    const file = stored?.manifest.files.findIndex(({ path: name }) => name === base.path) ?? -1;
    const list = stored?.lists[file];
    if (stored?.entry.packed !== undefined || list === undefined) return undefined;
    const offsets = new Map<string, number>();
    let offset = 0;
    for (const { digest, size } of list) {
      offsets.set(digestText(digest), offset);
      offset += size;
    }
    return offsets;
  }

  /** Where the base that a file has already has its chunks. */
  async #keptOffsets({ cid }: Stored, name: string, list: ChunkList): Promise<Map<string, number>> {
    const offsets = new Map<string, number>();
    for (const { digest } of list) {
      const key = digestText(digest);
      const places = await this.#components.index.places(key);
      const place = places.find((one) => one.cid === cid && one.path === basePath(name));
      if (place !== undefined) offsets.set(key, place.offset);
    }
    return offsets;
  }

  async #candidates(knowledge: VersionKnowledge, idleMs: number): Promise<PackingCandidate[]> {
    const { index, uses, underway } = this.#components;
    const candidates: PackingCandidate[] = [];
    for (const cid of await index.versions()) {
      const stored = underway(cid) ? undefined : await this.#stored(cid);
      if (stored === undefined) continue;
      const { entry, manifest, lists } = stored;
      const { lastUsedMs } = await uses.of(cid);
      const packed = entry.packed !== undefined;
      const unused =
        packed || (Date.now() - lastUsedMs >= idleMs && !(await knowledge.current(cid)));
      const idle = unused && !knowledge.inUse(cid);
      const files = manifest.files.map(({ path: name, size }, file) => ({
        path: name,
        size,
        chunks: (lists[file] ?? []).map((chunk) => ({
          key: digestText(chunk.digest),
          size: chunk.size,
        })),
      }));
      candidates.push({ cid, files, idle, packed, lastUsedMs });
    }
    return candidates;
  }

  /** Undefined when a version is not complete, or not known to be undamaged. */
  async #stored(cid: VersionCid): Promise<Stored | undefined> {
    const { index } = this.#components;
    const entry = await index.version(cid);
    const manifest = entry?.damaged === false ? await index.manifest(cid) : undefined;
    const lists = manifest && (await readChunkLists(index, manifest));
    if (entry === undefined || manifest === undefined || lists === undefined) return undefined;
    return { cid, entry, manifest, lists };
  }

  async #fileIds(whole: readonly VersionCid[]): Promise<Set<string>> {
    const ids = new Set<string>();
    for (const cid of whole) {
      const folder = path.join(this.#components.folders.versions, cid);
      for (const { path: name } of (await this.#components.index.manifest(cid))?.files ?? []) {
        const found = await fileId(path.join(folder, name));
        if (found !== undefined) ids.add(found.id);
      }
    }
    return ids;
  }

  /** True when a packed version has its base for itself and takes noticeably more with it than its own files would. */
  async #isSmallerWhole(cid: VersionCid): Promise<boolean> {
    const stored = this.#components.underway(cid) ? undefined : await this.#stored(cid);
    if (stored?.entry.packed === undefined) return false;
    const space = await measureSpace(this.#components.folders);
    const size = manifestBytes(stored.manifest);
    return isWorthPacking((space.versions.get(cid)?.bytes ?? 0) - size, size);
  }

  async #hasRoom(layout: readonly PackedFileLayout[]): Promise<boolean> {
    const own = layout.flatMap(({ list, inBase }) =>
      list.filter(({ digest }) => inBase?.has(digestText(digest)) === false),
    );
    const neededBytes = own.reduce((total, { size }) => total + size, 0);
    const freeBytes = await freeDiskBytes(this.#components.folders.packed);
    return freeBytes - RESERVED_DISK_BYTES >= neededBytes;
  }

  async #usedBytes(): Promise<number> {
    return (await measureSpace(this.#components.folders)).usedBytes;
  }
}

/** Where a file lies when it is whole, and where its base does. */
function placesOf(
  { versions, packed: packedFolder }: StoreFolders,
  { cid, name, packed }: { cid: VersionCid; name: string; packed: number | undefined },
): { readonly whole: string; readonly base: string } {
  if (packed === undefined) return { whole: path.join(versions, cid, name), base: '' };
  return {
    whole: packedFile(packedFolder, { cid, packed, path: wholePath(name) }),
    base: packedFile(packedFolder, { cid, packed, path: basePath(name) }),
  };
}
