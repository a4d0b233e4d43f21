import type { Level } from 'level';
import { digestOfCid, digestText, sameBytes } from '../../protocols/digest.ts';
import {
  decodeChunkList,
  decodeManifest,
  type Manifest,
  type ManifestFile,
} from '../../protocols/manifest/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import type { ChunkPlace } from '../../src/swarm/version-sink.ts';
import { plainBytes } from './file-range.ts';
import { onIndex, SYNC } from './index-level.ts';

/** Chunks looked up and put into a batch before the event loop gets its turn: a few milliseconds. */
const BATCH_STEP = 1_000;

/** Where a chunk stands in the files of a complete version. */
export interface StoredPlace {
  readonly cid: VersionCid;
  /** Within the version's folder, or that of its packed form. */
  readonly path: string;
  /** Of the packed form; undefined when the file is one of the version's own, whole. */
  readonly packed?: number | undefined;
  readonly offset: number;
  readonly size: number;
}

/** All that the index is told of a version when it becomes complete. */
export interface CompleteVersion {
  readonly cid: VersionCid;
  readonly manifest: Manifest;
  /** The manifest's and the chunk lists' bytes by their digest in hexadecimal. */
  readonly blocks: ReadonlyMap<string, Uint8Array>;
  /** Where the chunks are, by index of the file. */
  readonly places: readonly (readonly ChunkPlace[])[];
}

export interface VersionEntry {
  /** A file or a chunk was not what it must be when it was last looked at. */
  readonly damaged: boolean;
  /** Which packed form of the version is on the disk; undefined when its files are there whole. */
  readonly packed?: number | undefined;
}

/** A file with the bytes of one that is looked for. */
export interface FoundFile {
  readonly cid: VersionCid;
  readonly path: string;
  /** Of the packed form that it may lie in, whole; undefined when it is there for certain. */
  readonly packed: number | undefined;
}

/** What the store knows beside the files: which versions are complete and where each block is. Digests are hexadecimal. */
export class StoreIndex {
  readonly #level: Level;
  /** By CID. A version is complete when it has an entry here, and not before. */
  readonly #versions;
  /** Manifests and chunk lists by digest. */
  readonly #blocks;
  /** By digest; one place per version is enough. */
  readonly #chunks;
  /** Settles when the last change has: a version that comes and one that goes may share chunk lists. */
  #changing: Promise<unknown> = Promise.resolve();

  constructor(level: Level) {
    this.#level = level;
    this.#versions = level.sublevel<string, VersionEntry>('versions', { valueEncoding: 'json' });
    this.#blocks = level.sublevel<string, Uint8Array>('blocks', { valueEncoding: 'view' });
    this.#chunks = level.sublevel<string, StoredPlace[]>('chunks', { valueEncoding: 'json' });
  }

  async versions(): Promise<VersionCid[]> {
    return (await onIndex(() => this.#versions.keys().all())) as VersionCid[];
  }

  /** Undefined when the version is not complete. */
  version(cid: VersionCid): Promise<VersionEntry | undefined> {
    return onIndex(() => this.#versions.get(cid));
  }

  /** A manifest or chunk list, as it was stored. */
  async block(key: string): Promise<Uint8Array | undefined> {
    const bytes: Uint8Array | undefined = await onIndex(() => this.#blocks.get(key));
    return bytes === undefined ? undefined : plainBytes(bytes);
  }

  /** Where a chunk stands; at most one place per version. */
  async places(key: string): Promise<readonly StoredPlace[]> {
    const places: StoredPlace[] | undefined = await onIndex(() => this.#chunks.get(key));
    return places ?? [];
  }

  /** Whether some chunks have a place. */
  async hasPlaces(keys: readonly string[]): Promise<boolean[]> {
    const found: unknown[] = await onIndex(() => this.#chunks.getMany([...keys]));
    return found.map((places) => places !== undefined);
  }

  /** Whether the index leads to a version for each of its chunks. */
  async hasAllPlaces(
    cid: VersionCid,
    places: readonly (readonly ChunkPlace[])[],
  ): Promise<boolean> {
    const keys = [...new Set(places.flat().map(({ digest }) => digestText(digest)))];
    for (let start = 0; start < keys.length; start += BATCH_STEP) {
      const step = keys.slice(start, start + BATCH_STEP);
      const found = await onIndex(() => this.#chunks.getMany(step));
      if (!found.every((ways) => ways?.some((place) => place.cid === cid) === true)) return false;
    }
    return true;
  }

  /** By version, the bytes of its chunks that another version has too. */
  async sharedBytes(): Promise<ReadonlyMap<VersionCid, number>> {
    const shared = new Map<VersionCid, number>();
    await onIndex(async () => {
      for await (const places of this.#chunks.values()) {
        if (places.length < 2) continue;
        for (const { cid, size } of places) shared.set(cid, (shared.get(cid) ?? 0) + size);
      }
    });
    return shared;
  }

  /** The files of undamaged versions that have the same bytes in the same chunks. */
  async *findFiles(wanted: ManifestFile): AsyncGenerator<FoundFile> {
    for (const cid of await this.versions()) {
      const entry = await this.version(cid);
      if (entry?.damaged !== false) continue;
      const file = (await this.manifest(cid))?.files.find(
        ({ size, sha256, chunks }) =>
          size === wanted.size && chunks === wanted.chunks && sameBytes(sha256, wanted.sha256),
      );
      if (file !== undefined) yield { cid, path: file.path, packed: entry.packed };
    }
  }

  /** The manifest of a version; undefined when it is not there or damaged. */
  async manifest(cid: VersionCid): Promise<Manifest | undefined> {
    const bytes = await this.block(digestText(digestOfCid(cid)));
    try {
      return bytes === undefined ? undefined : decodeManifest(bytes, cid);
    } catch {
      // Whoever asks here fetches it again, as if it were missing.
      return undefined;
    }
  }

  /** Makes a version complete in one synced step. */
  putVersion({ cid, manifest, blocks, places }: CompleteVersion): Promise<void> {
    return this.#change(async () => {
      const own = new Map<string, StoredPlace>();
      for (const [file, { path }] of manifest.files.entries()) {
        for (const { digest, offset, size } of places[file] ?? []) {
          own.set(digestText(digest), { cid, path, offset, size });
        }
      }
      const batch = this.#level.batch();
      await this.#changePlaces(batch, [...own.keys()], (key, others) => [
        ...others.filter((place) => place.cid !== cid),
        ...[own.get(key)].filter((place) => place !== undefined),
      ]);
      for (const [key, bytes] of blocks) batch.put(key, bytes, { sublevel: this.#blocks });
      batch.put(cid, { damaged: false }, { sublevel: this.#versions });
      await batch.write(SYNC);
    });
  }

  /** Says in one synced step that a version is in a packed form, and where each of its chunks is there. */
  packVersion(
    cid: VersionCid,
    packed: number,
    places: ReadonlyMap<string, Omit<StoredPlace, 'cid' | 'packed'>>,
  ): Promise<void> {
    return this.#change(async () => {
      const batch = this.#level.batch();
      await this.#changePlaces(batch, [...places.keys()], (key, others) => [
        ...others.filter((place) => place.cid !== cid),
        ...[places.get(key)].flatMap((place) => (place ? { ...place, cid, packed } : [])),
      ]);
      batch.put(cid, { damaged: false, packed }, { sublevel: this.#versions });
      await batch.write(SYNC);
    });
  }

  /** Forgets a version in one synced step, with all that no other version shares. */
  removeVersion(cid: VersionCid): Promise<void> {
    return this.#change(async () => {
      const own = await this.#blocksOf(cid);
      const others = (await this.versions()).filter((other) => other !== cid);
      const shared = await Promise.all(others.map((other) => this.#blocksOf(other)));
      const kept = new Set(shared.flat());
      const chunks = await this.#chunksOf(cid);
      const batch = this.#level.batch();
      await this.#changePlaces(batch, chunks, (_, places) =>
        places.filter((place) => place.cid !== cid),
      );
      for (const key of own) if (!kept.has(key)) batch.del(key, { sublevel: this.#blocks });
      batch.del(cid, { sublevel: this.#versions });
      await batch.write(SYNC);
    });
  }

  /** Notes that a version is not what it was; it is fetched again as far as needed. */
  markDamaged(cid: VersionCid): Promise<void> {
    return this.#mark(cid, true);
  }

  /** Takes {@link markDamaged} back. */
  markWhole(cid: VersionCid): Promise<void> {
    return this.#mark(cid, false);
  }

  #mark(cid: VersionCid, damaged: boolean): Promise<void> {
    return this.#change(async () => {
      const entry = await this.version(cid);
      if (entry === undefined) return;
      const changed = { ...entry, damaged };
      await this.#level.batch().put(cid, changed, { sublevel: this.#versions }).write();
    });
  }

  /** Digests of the manifest and the chunk lists of a version, as far as the index is undamaged. */
  async #blocksOf(cid: VersionCid): Promise<string[]> {
    const manifest = await this.manifest(cid);
    const lists = manifest?.files.map(({ chunks }) => digestText(digestOfCid(chunks))) ?? [];
    return [digestText(digestOfCid(cid)), ...lists];
  }

  /** Digests of the chunks of a version. */
  async #chunksOf(cid: VersionCid): Promise<string[]> {
    const keys = new Set<string>();
    for (const { chunks } of (await this.manifest(cid))?.files ?? []) {
      const bytes = await this.block(digestText(digestOfCid(chunks)));
      if (bytes === undefined) continue;
      try {
        for (const { digest } of decodeChunkList(bytes, chunks)) keys.add(digestText(digest));
      } catch {
        // A damaged list leaves places that lead to no file, which readers pass over.
      }
    }
    return [...keys];
  }

  /** Puts into a batch what is to become of the places of some chunks, a step at a time. */
  async #changePlaces(
    batch: ReturnType<Level['batch']>,
    keys: readonly string[],
    change: (key: string, places: readonly StoredPlace[]) => readonly StoredPlace[],
  ): Promise<void> {
    for (let start = 0; start < keys.length; start += BATCH_STEP) {
      const step = keys.slice(start, start + BATCH_STEP);
      const found: (StoredPlace[] | undefined)[] = await this.#chunks.getMany(step);
      for (const [index, key] of step.entries()) {
        const places = change(key, found[index] ?? []);
        if (places.length === 0) batch.del(key, { sublevel: this.#chunks });
        else batch.put(key, places, { sublevel: this.#chunks });
      }
    }
  }

  async #change(change: () => Promise<void>): Promise<void> {
    const before = this.#changing;
    const changed = onIndex(async () => {
      await before;
      await change();
    });
    this.#changing = changed.catch(() => undefined);
    await changed;
  }
}
