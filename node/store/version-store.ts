import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Level } from 'level';
import { cidOfDigest, digestOfCid, digestText } from '../../protocols/digest.ts';
import { StoreError } from '../../protocols/errors.ts';
import { decodeManifest, type Manifest, manifestBytes } from '../../protocols/manifest/index.ts';
import { type BlockSource, type Holdings, NOTHING, WHOLE } from '../../protocols/transfer/index.ts';
import type { AbortOptions, PublisherId, VersionCid } from '../../protocols/types.ts';
import { syncFolder } from '../../src/swarm/durable-file.ts';
import type { ChunkPlace, VersionSink, VersionTarget } from '../../src/swarm/version-sink.ts';
import { BlockReader } from './block-reader.ts';
import { checkDiskRoom, type DiskRoom, freeDiskBytes, usableBytes } from './disk-room.ts';
import { openIndexLevel } from './index-level.ts';
import { PartialFolder } from './partial-folder.ts';
import { PartialVersion, partialBytes } from './partial-version.ts';
import { storeFailure } from './store-failure.ts';
import { foldersIn, type StoreFolders } from './store-folders.ts';
import { StoreIndex } from './store-index.ts';
import { StorePacking } from './store-packing.ts';
import { recoverFolders } from './store-recovery.ts';
import { measureSpace } from './store-space.ts';
import { type RemovedVersion, StoreUpkeep, type VersionKnowledge } from './store-upkeep.ts';
import { takeBack } from './take-back.ts';
import { findTwins, linkTwins, type TwinFile } from './twin-files.ts';
import { unpackVersion } from './unpack-version.ts';
import { checkCid, hasFiles, readBlocks } from './version-files.ts';
import { VersionUses } from './version-uses.ts';
import { type WantedVersion, WantedVersions } from './wanted-versions.ts';

/** A version whose every byte is on disk. */
export interface StoredVersion {
  readonly manifest: Manifest;
  /** Absolute path of the folder that holds the version's files, and nothing else. */
  readonly directory: string;
}

export interface VersionStoreInit {
  /** Bytes that versions may take on the disk. @default what the disk has, less a reserve */
  readonly quotaBytes?: number | undefined;
  /** What the swarm knows of the versions here. @default nothing: then nothing is evicted */
  readonly knowledge?: VersionKnowledge | undefined;
  /** Hears of a version that was removed to make room for another. */
  readonly onEvicted?: ((removed: RemovedVersion) => void) | undefined;
  /** Hears of each version that has left the disk, for whatever reason. */
  readonly onRemoved?: ((cid: VersionCid) => void) | undefined;
}

/** A version that is being fetched, removed or packed: one thing at a time is done to it. */
interface Underway {
  readonly doing: 'fetched' | 'removed' | 'packed';
  /** Undefined while the version is being begun. */
  partial: PartialVersion | undefined;
  /** Bytes still to be written, until `partial` knows better. */
  neededBytes: number;
}

/**
 * What a node keeps on disk of models: versions, whole and in part, and which of them it means to serve.
 *
 * Files lie as they were published, `versions/<cid>/<path>`, or packed when nobody uses them; a LevelDB index beside them says
 * which versions are complete and where each chunk is. One process at a time can open a store.
 */
export class VersionStore implements BlockSource, VersionTarget {
  readonly #folders: StoreFolders;
  readonly #level: Level;
  readonly #index: StoreIndex;
  readonly #wanted: WantedVersions;
  readonly #uses: VersionUses;
  readonly #reader: BlockReader;
  readonly #init: VersionStoreInit;
  /** What an owner does with the store by hand, and what makes room. */
  readonly upkeep: StoreUpkeep;
  /** Keeps versions that nobody uses as their difference from others. */
  readonly packing: StorePacking;
  readonly #underway = new Map<VersionCid, Underway>();
  readonly #unpacking = new Map<VersionCid, Promise<void>>();
  #closed = false;

  private constructor(folders: StoreFolders, level: Level, init: VersionStoreInit) {
    this.#init = init;
    this.#folders = folders;
    this.#level = level;
    this.#index = new StoreIndex(level);
    this.#wanted = new WantedVersions(level);
    this.#reader = new BlockReader({
      index: this.#index,
      folders,
      partials: () => this.#partials(),
    });
    this.#uses = new VersionUses(level);
    const shared = {
      folders,
      index: this.#index,
      uses: this.#uses,
      reader: this.#reader,
      underway: (cid: VersionCid) => this.#underway.has(cid),
      knowledge: init.knowledge,
    };
    this.upkeep = new StoreUpkeep({
      ...shared,
      wanted: this.#wanted,
      remove: (cid) => this.remove(cid),
    });
    this.packing = new StorePacking({
      ...shared,
      take: (cid) => {
        this.#take(cid, 'packed');
        return () => this.#underway.delete(cid);
      },
      unpack: (cid, signal) => this.#unpack(cid, signal),
    });
  }

  /**
   * Opens the store in a folder, which is made when missing, and puts in order what a crash left.
   *
   * @throws {ERR_STORE} when another process uses it, it is damaged, or the disk refuses.
   */
  static async open(folder: string, init: VersionStoreInit = {}): Promise<VersionStore> {
    const root = path.resolve(folder);
    const folders = foldersIn(root);
    let level: Level | undefined;
    try {
      for (const made of Object.values(folders)) await mkdir(made, { recursive: true });
      const held = [...(await readdir(folders.versions)), ...(await readdir(folders.packed))];
      const isNew = held.length === 0;
      level = await openIndexLevel(path.join(root, 'index'), isNew);
      await syncFolder(root);
      const store = new VersionStore(folders, level, init);
      await recoverFolders(folders, store.#index);
      return store;
    } catch (cause) {
      await level?.close();
      throw storeFailure(`store ${root} cannot be opened`, cause);
    }
  }

  /** Lets go of the folder; what is being fetched stays as far as it is. Twice is once. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.packing.close();
    for (const partial of this.#partials()) await partial.close();
    await this.#uses.close();
    await this.#level.close();
  }

  /** @see BlockSource.read; serves also what is verified of versions that are still being fetched. */
  read(digest: Uint8Array, options?: AbortOptions): Promise<Uint8Array | undefined> {
    return this.#reader.read(digest, options);
  }

  /** @see BlockSource.holdings */
  async holdings(version: Uint8Array): Promise<Holdings | undefined> {
    const cid = cidOfDigest(version).toString() as VersionCid;
    // What is being unpacked has both: all of it can be read.
    if ((await this.#index.version(cid))?.damaged === false) return WHOLE;
    const underway = this.#underway.get(cid);
    if (underway?.doing === 'fetched') return underway.partial?.holdings() ?? NOTHING;
    return undefined;
  }

  /** Counts a use of a version: what is used stays when room is needed. */
  noteUse(cid: VersionCid): void {
    this.#uses.note(cid, Date.now());
  }

  /**
   * A complete version, its files in place: a packed one is unpacked for that, and packed no more while it is in use. Undefined
   * when it is not complete, or not what it was: then it is to be fetched.
   *
   * @throws {ERR_STORE} when the disk, or the quota, has no room for the files of a packed version.
   */
  async get(cid: VersionCid, { signal }: AbortOptions = {}): Promise<StoredVersion | undefined> {
    checkCid(cid);
    await this.packing.leave(cid);
    if ((await this.#index.version(cid))?.packed !== undefined) await this.#unpack(cid, signal);
    const entry = await this.#index.version(cid);
    if (entry === undefined || entry.damaged) return undefined;
    const manifest = await this.#index.manifest(cid);
    const directory = path.join(this.#folders.versions, cid);
    if (manifest !== undefined && (await hasFiles(directory, manifest))) {
      return { manifest, directory };
    }
    await this.#index.markDamaged(cid);
    return undefined;
  }

  /** Bytes that may still be written, by the disk and the quota, without anything leaving for them. */
  async freeBytes(): Promise<number> {
    return usableBytes(await this.#room(0));
  }

  /** The manifest of a complete version, which is left as it lies. */
  async manifest(cid: VersionCid): Promise<Manifest | undefined> {
    checkCid(cid);
    return (await this.#index.version(cid))?.damaged === false
      ? this.#index.manifest(cid)
      : undefined;
  }

  /**
   * Removes a version, whole or in part; a loaded model that uses its files must be gone.
   *
   * @throws {ERR_STORE} when it is being fetched or removed, or the disk refuses.
   */
  async remove(cid: VersionCid): Promise<void> {
    checkCid(cid);
    await this.packing.leave(cid);
    this.#take(cid, 'removed');
    try {
      await new PartialFolder(this.#folders.partial, cid).remove();
      if ((await this.#index.version(cid)) === undefined) return;
      await this.#index.removeVersion(cid);
      const { partial: _gone, ...whole } = this.#folders;
      for (const folder of Object.values(whole)) {
        await rm(path.join(folder, cid), { recursive: true, force: true });
      }
      await this.#uses.forget(cid);
      this.#reader.forget(cid);
      this.#init.onRemoved?.(cid);
    } catch (cause) {
      throw storeFailure(`version ${cid} cannot be removed`, cause);
    } finally {
      this.#underway.delete(cid);
    }
  }

  /**
   * Absolute path of the folder for what the node derives from versions, a folder named by its CID for each. It counts as the
   * version's, and goes when the version is removed or packed.
   */
  get derivedFolder(): string {
    return this.#folders.derived;
  }

  /** Remembers, over restarts, that a version is to be served. */
  want(wanted: WantedVersion): Promise<void> {
    return this.#wanted.put(wanted);
  }

  /** Keeps the newest release record of a model, for every version that is wanted under its name. */
  renew(publisher: PublisherId, name: string, release: Uint8Array): Promise<void> {
    return this.#wanted.renew(publisher, name, release);
  }

  unwant(cid: VersionCid): Promise<void> {
    return this.#wanted.delete(cid);
  }

  wanted(): Promise<WantedVersion[]> {
    return this.#wanted.all();
  }

  async partialManifest(cid: VersionCid): Promise<Uint8Array | undefined> {
    checkCid(cid);
    const found = await new PartialFolder(this.#folders.partial, cid).manifest();
    if (found !== undefined) return found;
    // A damaged version is fetched again, and its manifest need not be damaged.
    const intact = (await this.#index.manifest(cid)) !== undefined;
    return intact ? this.#index.block(digestText(digestOfCid(cid))) : undefined;
  }

  async begin(cid: VersionCid, bytes: Uint8Array): Promise<VersionSink> {
    const manifest = decodeManifest(bytes, cid);
    await this.packing.leave(cid);
    const fetching = this.#take(cid, 'fetched');
    try {
      const folder = new PartialFolder(this.#folders.partial, cid);
      await takeBack(this.#folders, this.#index, { cid, manifest, bytes });
      const places = { ...this.#folders, files: folder.files };
      const twins = await findTwins(this.#index, manifest, places);
      await this.#promiseRoom(fetching, { folder, cid, manifest, twins });
      await folder.create(bytes);
      await mkdir(folder.files, { recursive: true });
      await linkTwins(twins);
      this.#checkOpen();
      fetching.partial = new PartialVersion(cid, manifest, {
        folder,
        findLocal: (digest) => this.#reader.find(digest),
        mayHave: (keys) => this.#mayHave(keys),
        makeRoom: (neededBytes) => this.#makeRoom(neededBytes),
        complete: (places) => this.#complete({ cid, manifest, folder }, places),
        release: () => this.#underway.delete(cid),
      });
      return fetching.partial;
    } catch (cause) {
      this.#underway.delete(cid);
      throw storeFailure(`version ${cid} cannot be begun`, cause);
    }
  }

  #take(cid: VersionCid, doing: Underway['doing']): Underway {
    this.#checkOpen();
    const before = this.#underway.get(cid);
    if (before !== undefined) {
      throw new StoreError(`version ${cid} is being ${before.doing} already`);
    }
    const underway: Underway = { doing, partial: undefined, neededBytes: 0 };
    this.#underway.set(cid, underway);
    return underway;
  }

  #checkOpen(): void {
    if (this.#closed) throw new StoreError('the store is closed');
  }

  async #promiseRoom(
    fetching: Underway,
    version: {
      readonly folder: PartialFolder;
      readonly cid: VersionCid;
      readonly manifest: Manifest;
      readonly twins: readonly TwinFile[];
    },
  ): Promise<void> {
    const { folder, cid, manifest, twins } = version;
    const twinBytes = twins.reduce((total, { size }) => total + size, 0);
    const writtenBytes = await partialBytes(folder, manifest);
    const neededBytes = Math.max(0, manifestBytes(manifest) - writtenBytes - twinBytes);
    const lacking = neededBytes - (await this.freeBytes());
    if (lacking > 0) await this.#makeRoom(lacking);
    checkDiskRoom(`version ${cid}`, await this.#room(neededBytes));
    fetching.neededBytes = neededBytes;
  }

  async #room(neededBytes: number): Promise<DiskRoom> {
    let promisedBytes = 0;
    for (const other of this.#underway.values()) {
      promisedBytes += other.partial?.missingBytes ?? other.neededBytes;
    }
    const freeBytes = await freeDiskBytes(this.#folders.partial);
    const { usedBytes } = await measureSpace(this.#folders);
    const quotaBytes = this.#init.quotaBytes ?? null;
    return { neededBytes, promisedBytes, freeBytes, usedBytes, quotaBytes };
  }

  /** Evicts what is worth least; false when that gives nothing. */
  async #makeRoom(neededBytes: number): Promise<boolean> {
    const removed = await this.upkeep.evict(neededBytes);
    for (const one of removed) this.#init.onEvicted?.(one);
    return removed.length > 0;
  }

  /** The files of a version are whole and synced: moves them to their place, then tells the index. */
  async #complete(
    version: { cid: VersionCid; manifest: Manifest; folder: PartialFolder },
    places: readonly (readonly ChunkPlace[])[],
  ): Promise<void> {
    const { cid, manifest, folder } = version;
    const blocks = await readBlocks(folder, cid, manifest);
    const directory = path.join(this.#folders.versions, cid);
    await rename(folder.files, directory);
    try {
      await syncFolder(this.#folders.versions);
      await syncFolder(folder.root);
      await this.#index.putVersion({ cid, manifest, blocks, places });
    } catch (error) {
      await rename(directory, folder.files).catch(() => {
        // Recovery does the same when the store is opened next; the first failure says more.
      });
      throw error;
    }
    this.#uses.note(cid, Date.now());
    try {
      await folder.remove();
      await rm(path.join(this.#folders.packed, cid), { recursive: true, force: true });
    } catch {
      // The version is complete; what is left of the fetch goes when the store is opened next.
    }
  }

  /** One at a time for each version. */
  async #unpack(cid: VersionCid, signal: AbortSignal | undefined): Promise<void> {
    for (let other = this.#unpacking.get(cid); other; other = this.#unpacking.get(cid)) {
      await other.catch(() => {
        // Whoever began it hears of that; it is tried again here.
      });
    }
    const unpacking = unpackVersion(this.#index, this, cid, signal).finally(() =>
      this.#unpacking.delete(cid),
    );
    this.#unpacking.set(cid, unpacking);
    await unpacking;
  }

  async #mayHave(keys: readonly string[]): Promise<boolean[]> {
    const indexed = await this.#index.hasPlaces(keys);
    const partials = this.#partials();
    return keys.map((key, index) => indexed[index] === true || partials.some((p) => p.has(key)));
  }

  #partials(): PartialVersion[] {
    return [...this.#underway.values()].flatMap(({ partial }) => partial ?? []);
  }
}
