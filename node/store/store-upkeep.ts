import { readdir } from 'node:fs/promises';
import { isSwarmError, NotFoundError } from '../../protocols/errors.ts';
import type { AbortOptions, VersionCid } from '../../protocols/types.ts';
import { mustStay, planEviction, type StoredCandidate } from '../../src/policy/store-eviction.ts';
import type { BlockReader } from './block-reader.ts';
import type { StoreIndex, VersionEntry } from './store-index.ts';
import type { StoreFolders } from './store-folders.ts';
import { measureSpace, type StoreSpace } from './store-space.ts';
import { type VerifiedVersion, verifyVersion } from './store-verify.ts';
import type { VersionUses } from './version-uses.ts';
import type { WantedVersions } from './wanted-versions.ts';

/** Milliseconds since others last read a version from which it counts as not being uploaded. */
const UPLOAD_PAUSE_MS = 60_000;

/** What a store cannot know by itself of the versions it holds. */
export interface VersionKnowledge {
  /** True while the node loads or runs it. */
  inUse(cid: VersionCid): boolean;
  /** Whether a release names it; true when that is not known. */
  released(cid: VersionCid): Promise<boolean>;
  /** Whether a channel points at it, so that it is likely to be loaded next; true when it is to be served and that is not known. */
  current(cid: VersionCid): Promise<boolean>;
  /** Other peers that have all of it, as far as is known. */
  otherHolders(cid: VersionCid): Promise<number>;
}

/** A version on the disk, as `swarm store ls` shows it. */
export interface StoreEntry {
  readonly cid: VersionCid;
  readonly state: 'whole' | 'packed' | 'damaged' | 'partial';
  /** As which the node means to serve it; null when it does not. */
  readonly publisher: string | null;
  readonly name: string | null;
  /** Bytes that its files take on the disk; of a packed one without the bases that another version here has too. */
  readonly bytes: number;
  /** Bytes of its chunks that another version here has too; null for a part. */
  readonly sharedBytes: number | null;
  readonly pinned: boolean;
  readonly wanted: boolean;
  /** True while it is loaded, fetched, or read by others. */
  readonly inUse: boolean;
  /** Milliseconds since 1970; null when it never was. */
  readonly lastUsedMs: number | null;
  readonly uses: number;
}

/** A version that was removed to make room, or because nothing wants it. */
export interface RemovedVersion {
  readonly cid: VersionCid;
  readonly freedBytes: number;
}

/** A version that nothing here wants and that stays all the same. */
export interface KeptVersion {
  readonly cid: VersionCid;
  /**
   * `last copy`: a release names it, or may, and no other peer is known to have it. `node stopped`: nobody knows who else has
   * it while the node does not run.
   */
  readonly kept: 'last copy' | 'node stopped';
}

export type CollectedVersion = RemovedVersion | KeptVersion;

export interface StoreUpkeepComponents {
  readonly index: StoreIndex;
  readonly folders: StoreFolders;
  readonly wanted: WantedVersions;
  readonly uses: VersionUses;
  readonly reader: BlockReader;
  /** True while a version is fetched or removed. */
  readonly underway: (cid: VersionCid) => boolean;
  readonly remove: (cid: VersionCid) => Promise<void>;
  /** Undefined when nobody knows of the swarm, as when the node is stopped: then nothing that is whole is removed. */
  readonly knowledge: VersionKnowledge | undefined;
}

/** Looks after what is in a store: shows, checks and pins it, frees what nothing wants, evicts when room is needed. */
export class StoreUpkeep {
  readonly #components: StoreUpkeepComponents;

  constructor(components: StoreUpkeepComponents) {
    this.#components = components;
  }

  /** Every version on the disk, whole or in part, the last used first. */
  async list(): Promise<StoreEntry[]> {
    const { index, wanted, uses, folders } = this.#components;
    const space = await measureSpace(folders);
    const shared = await index.sharedBytes();
    const pinned = await uses.pinned();
    // Of several names the first, under which the node serves it.
    const origins = new Map((await wanted.all()).toReversed().map((one) => [one.cid, one]));
    const entries = (await this.#all()).map(async (cid) => {
      const entry = await index.version(cid);
      const use = await uses.of(cid);
      const origin = origins.get(cid);
      return {
        cid,
        state: stateOf(entry),
        publisher: origin?.publisher ?? null,
        name: origin?.name ?? null,
        bytes: space.versions.get(cid)?.bytes ?? 0,
        sharedBytes: entry === undefined ? null : (shared.get(cid) ?? 0),
        pinned: pinned.has(cid),
        wanted: origin !== undefined,
        inUse: this.#inUse(cid),
        lastUsedMs: use.lastUsedMs === 0 ? null : use.lastUsedMs,
        uses: use.uses,
      };
    });
    const listed = await Promise.all(entries);
    return listed.toSorted((a, b) => (b.lastUsedMs ?? 0) - (a.lastUsedMs ?? 0));
  }

  /** Hashes every byte of every complete version, and repairs what the index says of them. */
  async *verify({ signal }: AbortOptions = {}): AsyncGenerator<VerifiedVersion> {
    const { index, folders, underway } = this.#components;
    for (const cid of await index.versions()) {
      signal?.throwIfAborted();
      if (underway(cid)) continue;
      const verified = await verifyVersion({ index, folders }, cid, signal);
      // It may have been removed meanwhile: then nothing is wrong with it.
      if ((await index.version(cid)) !== undefined) yield verified;
    }
  }

  /**
   * Removes what is not meant to be served, not pinned and not in use, parts of versions too; never the last known copy of what
   * a release names, nor what is whole while nobody knows who else has it.
   */
  async *collect({ signal }: AbortOptions = {}): AsyncGenerator<CollectedVersion> {
    const { wanted, knowledge, remove, folders } = this.#components;
    const served = new Set<string>((await wanted.all()).map(({ cid }) => cid));
    const space = await measureSpace(folders);
    for (const cid of await this.#all()) {
      signal?.throwIfAborted();
      if (served.has(cid)) continue;
      const candidate = await this.#candidate(cid, space);
      if (candidate.pinned || candidate.inUse) continue;
      if (mustStay(candidate)) {
        yield { cid, kept: knowledge === undefined ? 'node stopped' : 'last copy' };
        continue;
      }
      await remove(cid);
      yield { cid, freedBytes: candidate.freedBytes };
    }
  }

  /**
   * Keeps a version whatever comes.
   *
   * @throws {ERR_NOT_FOUND} when it is not on this disk, not even in part.
   */
  async pin(cid: VersionCid): Promise<void> {
    const { uses } = this.#components;
    if (!(await this.#all()).includes(cid)) {
      throw new NotFoundError(`version ${cid} is not in this store, expected one that is`);
    }
    await uses.pin(cid, Date.now());
  }

  /** @throws {ERR_NOT_FOUND} when it is not pinned. */
  async unpin(cid: VersionCid): Promise<void> {
    const { uses } = this.#components;
    if (!(await uses.pinned()).has(cid)) {
      throw new NotFoundError(`version ${cid} is not pinned in this store`);
    }
    await uses.unpin(cid);
  }

  /** Removes the versions that are worth least until so many bytes are free; removes none when that is not possible. */
  async evict(neededBytes: number): Promise<RemovedVersion[]> {
    const { wanted, remove } = this.#components;
    const { victims } = planEviction(await this.#candidates(), neededBytes, Date.now());
    const removed: RemovedVersion[] = [];
    for (const { cid, freedBytes } of victims) {
      // Loaded, or begun to be read, since it was chosen.
      if (this.#inUse(cid)) continue;
      // Before the files: a restart in between must not fetch again what had to go.
      await wanted.delete(cid);
      try {
        await remove(cid);
      } catch (error) {
        if (isSwarmError(error) && error.code === 'ERR_STORE') continue;
        throw error;
      }
      removed.push({ cid, freedBytes });
    }
    return removed;
  }

  async #candidates(): Promise<StoredCandidate[]> {
    if (this.#components.knowledge === undefined) return [];
    const space = await measureSpace(this.#components.folders);
    return Promise.all((await this.#all()).map((cid) => this.#candidate(cid, space)));
  }

  /** What speaks for a version; what nobody knows of the swarm speaks for it too. */
  async #candidate(cid: VersionCid, space: StoreSpace): Promise<StoredCandidate> {
    const { index, uses, knowledge } = this.#components;
    const pinned = (await uses.pinned()).has(cid);
    const inUse = this.#inUse(cid);
    const complete = (await index.version(cid)) !== undefined;
    const { lastUsedMs, uses: count } = await uses.of(cid);
    // Asked of the swarm: not for nothing.
    const stays = pinned || inUse || !complete;
    return {
      cid,
      freedBytes: space.versions.get(cid)?.freedBytes ?? 0,
      sharedFiles: space.versions.get(cid)?.sharedFiles ?? [],
      lastUsedMs,
      uses: count,
      otherHolders: stays ? 0 : ((await knowledge?.otherHolders(cid)) ?? 0),
      // A part is nobody's last copy.
      released: complete && ((await knowledge?.released(cid)) ?? true),
      pinned,
      inUse,
    };
  }

  #inUse(cid: VersionCid): boolean {
    const { underway, knowledge, reader } = this.#components;
    const readMs = reader.lastReadMs(cid);
    const uploading = readMs !== undefined && Date.now() - readMs < UPLOAD_PAUSE_MS;
    return underway(cid) || uploading || knowledge?.inUse(cid) === true;
  }

  /** Every version, whole or in part. */
  async #all(): Promise<VersionCid[]> {
    const complete = await this.#components.index.versions();
    return [...new Set([...complete, ...(await this.#partial())])];
  }

  async #partial(): Promise<VersionCid[]> {
    return (await readdir(this.#components.folders.partial)) as VersionCid[];
  }
}

function stateOf(entry: VersionEntry | undefined): StoreEntry['state'] {
  if (entry === undefined) return 'partial';
  if (entry.damaged) return 'damaged';
  return entry.packed === undefined ? 'whole' : 'packed';
}
