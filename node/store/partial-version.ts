import { type FileHandle, open, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import {
  type BlockCid,
  digestOfCid,
  digestText,
  sameBytes,
  sha256,
} from '../../protocols/digest.ts';
import { CorruptError, InvalidRecordError, StoreError } from '../../protocols/errors.ts';
import type { ChunkList, Manifest } from '../../protocols/manifest/index.ts';
import { type Holdings, NOTHING } from '../../protocols/transfer/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { syncFolder } from '../../src/swarm/durable-file.ts';
import type { ChunkPlace, VersionSink } from '../../src/swarm/version-sink.ts';
import { ChunkMap } from './chunk-map.ts';
import { hashFile, READ_WRITE_CREATE, readFully, readRange, writeRange } from './file-range.ts';
import type { PartialFolder } from './partial-folder.ts';
import { failureCode, storeFailure } from './store-failure.ts';

/** Missing chunks that the index is asked for at once. */
const LOOKUP_STEP = 1_000;

/** What a partial version asks of the store that it belongs to. */
export interface PartialVersionComponents {
  readonly folder: PartialFolder;
  /** A block from anywhere on this disk, this version included, verified; undefined when there is none. */
  readonly findLocal: (digest: Uint8Array) => Promise<Uint8Array | undefined>;
  /** For digests in hexadecimal, whether {@link findLocal} is worth a try. */
  readonly mayHave: (keys: readonly string[]) => Promise<readonly boolean[]>;
  /** Tries to free so many bytes of a full disk; false when it could not. */
  readonly makeRoom: (neededBytes: number) => Promise<boolean>;
  /** Makes the version complete: its files are checked and synced. */
  readonly complete: (places: readonly (readonly ChunkPlace[])[]) => Promise<void>;
  /** The store may begin the version again. */
  readonly release: () => void;
}

/** A version on its way in: takes chunks in any order, serves those that are there, ends complete or as it is. */
export class PartialVersion implements VersionSink {
  readonly #cid: VersionCid;
  readonly #manifest: Manifest;
  readonly #components: PartialVersionComponents;
  /** Digests, in hexadecimal, of the chunk lists that are there. */
  readonly #lists = new Set<string>();
  /** What `close` waits for. */
  readonly #running = new Set<Promise<unknown>>();
  #chunks: ChunkMap | undefined;
  #ended: 'finished' | 'closed' | undefined;

  constructor(cid: VersionCid, manifest: Manifest, components: PartialVersionComponents) {
    this.#cid = cid;
    this.#manifest = manifest;
    this.#components = components;
  }

  /** Bytes still to be written; undefined until it is known what is there. */
  get missingBytes(): number | undefined {
    return this.#chunks?.missingBytes;
  }

  /** True when {@link read} finds a chunk, by its digest in hexadecimal. */
  has(key: string): boolean {
    return this.#chunks?.find(key) !== undefined;
  }

  /** What others are told of it. */
  holdings(): Holdings {
    return this.#chunks?.holdings() ?? NOTHING;
  }

  expect(place: ChunkPlace, coming: boolean): void {
    this.#chunks?.expect(place, coming);
  }

  /** A block that is there already, verified, by its digest in hexadecimal. */
  async read(key: string): Promise<Uint8Array | undefined> {
    if (this.#ended !== undefined) return undefined;
    const { folder } = this.#components;
    if (key === digestText(digestOfCid(this.#cid))) return folder.manifest();
    if (this.#lists.has(key)) return folder.list(key);
    const place = this.#chunks?.find(key);
    if (place === undefined) return undefined;
    const bytes = await readRange(this.#fileOf(place), place.offset, place.size);
    if (bytes !== undefined && sameBytes(sha256(bytes), place.digest)) return bytes;
    // Not in place after all; `missing` or `finish` finds the same.
    this.#chunks?.delete(place);
    return undefined;
  }

  chunkList(cid: BlockCid): Promise<Uint8Array | undefined> {
    return this.#track(`chunk list ${cid} cannot be read`, async () => {
      const key = digestText(digestOfCid(cid));
      const { folder, findLocal } = this.#components;
      const own = await folder.list(key);
      // A file that did not change has the chunk list it had: another version may hold it.
      const bytes = own ?? (await findLocal(digestOfCid(cid)));
      if (bytes === undefined) return undefined;
      if (own === undefined) await folder.putList(key, bytes);
      this.#lists.add(key);
      return bytes;
    });
  }

  putChunkList(cid: BlockCid, bytes: Uint8Array): Promise<void> {
    return this.#track(`chunk list ${cid} cannot be written`, async () => {
      const key = digestText(digestOfCid(cid));
      await this.#components.folder.putList(key, bytes);
      this.#lists.add(key);
    });
  }

  missing(lists: readonly ChunkList[]): Promise<ChunkPlace[]> {
    return this.#track(`version ${this.#cid} cannot be read`, async () => {
      const chunks = (this.#chunks ??= new ChunkMap(lists));
      for (const places of chunks.files) await this.#verify(places);
      await this.#copyLocal(chunks);
      return chunks.missing();
    });
  }

  write(place: ChunkPlace, bytes: Uint8Array): Promise<void> {
    return this.#track(`version ${this.#cid} cannot be written`, async () => {
      await this.#put(this.#known(), place, bytes);
    });
  }

  finish(): Promise<void> {
    return this.#track(`version ${this.#cid} cannot be finished`, async () => {
      const chunks = this.#known();
      let damagedBytes = 0;
      for (const [
        index,
        { path: name, size, sha256: expected },
      ] of this.#manifest.files.entries()) {
        if (await this.#check(name, size, expected)) continue;
        const places = chunks.files[index] ?? [];
        for (const place of places) chunks.delete(place);
        await this.#verify(places);
        const damaged = places.filter((place) => !chunks.has(place));
        damagedBytes += damaged.reduce((total, place) => total + place.size, 0);
        if (damaged.length > 0) continue;
        throw new InvalidRecordError(
          `file '${name}' of version ${this.#cid} has not the sha256 that its manifest says, though every chunk is right`,
        );
      }
      if (damagedBytes > 0) {
        throw new CorruptError(
          `${damagedBytes} bytes of version ${this.#cid} are missing or damaged on disk`,
          { details: { version: this.#cid, damagedBytes } },
        );
      }
      await this.#removeStrangers();
      await syncFolder(this.#components.folder.files);
      await this.#components.complete(chunks.files);
      this.#ended ??= 'finished';
    });
  }

  async close(): Promise<void> {
    const release = this.#ended !== 'closed';
    this.#ended = 'closed';
    await Promise.allSettled(this.#running);
    if (release) this.#components.release();
  }

  #known(): ChunkMap {
    if (this.#chunks !== undefined) return this.#chunks;
    throw new StoreError(
      `chunk lists of version ${this.#cid} are not known yet, expected a call of missing() first`,
    );
  }

  /** Marks what is in place of a file, reading only what nobody has verified since the version was begun. */
  async #verify(places: readonly ChunkPlace[]): Promise<void> {
    const chunks = this.#chunks;
    const first = places[0];
    if (chunks === undefined || first === undefined) return;
    if (places.every((place) => chunks.has(place))) return;
    let handle: FileHandle;
    try {
      handle = await open(this.#fileOf(first), 'r');
    } catch (error) {
      if (failureCode(error) === 'ENOENT') return;
      throw error;
    }
    try {
      const { size: endBytes } = await handle.stat();
      for (const place of places) {
        this.#checkOpen();
        if (chunks.has(place) || place.offset + place.size > endBytes) continue;
        const bytes = new Uint8Array(place.size);
        const whole = await readFully(handle, bytes, place.offset);
        if (whole && sameBytes(sha256(bytes), place.digest)) chunks.add(place);
      }
    } finally {
      await handle.close();
    }
  }

  /** Puts in place what other versions on this disk have of the missing chunks. */
  async #copyLocal(chunks: ChunkMap): Promise<void> {
    const missing = chunks.missing();
    for (let start = 0; start < missing.length; start += LOOKUP_STEP) {
      const step = missing.slice(start, start + LOOKUP_STEP);
      const known = await this.#components.mayHave(step.map(({ digest }) => digestText(digest)));
      for (const [index, place] of step.entries()) {
        this.#checkOpen();
        if (known[index] !== true) continue;
        const bytes = await this.#components.findLocal(place.digest);
        if (bytes?.byteLength === place.size) await this.#put(chunks, place, bytes);
      }
    }
  }

  async #put(chunks: ChunkMap, place: ChunkPlace, bytes: Uint8Array): Promise<void> {
    try {
      await writeRange(this.#fileOf(place), place.offset, bytes);
    } catch (error) {
      // Somebody else took what was promised: once more, when what is worth least here can go.
      if (failureCode(error) !== 'ENOSPC') throw error;
      if (!(await this.#components.makeRoom(chunks.missingBytes))) throw error;
      await writeRange(this.#fileOf(place), place.offset, bytes);
    }
    chunks.add(place);
  }

  /** True when a file is what the manifest says; then it is synced. */
  async #check(name: string, size: number, expected: Uint8Array): Promise<boolean> {
    const handle = await open(path.join(this.#components.folder.files, name), READ_WRITE_CREATE);
    try {
      const found = await handle.stat();
      if (found.size > size) await handle.truncate(size);
      if (
        found.size < size ||
        !sameBytes(await hashFile(handle, () => this.#checkOpen()), expected)
      )
        return false;
      await handle.sync();
      return true;
    } finally {
      await handle.close();
    }
  }

  /** A model reads what lies beside it: nothing but the version's files may. */
  async #removeStrangers(): Promise<void> {
    const { files } = this.#components.folder;
    const known = new Set(this.#manifest.files.map(({ path: name }) => name));
    for (const name of await readdir(files)) {
      if (!known.has(name)) await rm(path.join(files, name), { recursive: true, force: true });
    }
  }

  #fileOf({ file }: ChunkPlace): string {
    const name = this.#manifest.files[file]?.path;
    if (name === undefined) {
      throw new StoreError(`version ${this.#cid} has no file ${file}: chunk lists are too many`);
    }
    return path.join(this.#components.folder.files, name);
  }

  /** Whoever closes does not wait until gigabytes are hashed. */
  #checkOpen(): void {
    if (this.#ended === undefined) return;
    throw new StoreError(`fetch of version ${this.#cid} is ${this.#ended} already`);
  }

  async #track<T>(doing: string, operation: () => Promise<T>): Promise<T> {
    this.#checkOpen();
    const running = operation();
    this.#running.add(running);
    try {
      return await running;
    } catch (cause) {
      throw storeFailure(doing, cause);
    } finally {
      this.#running.delete(running);
    }
  }
}

/** Bytes that the disk holds of a version's files; holes do not count. */
export async function partialBytes(folder: PartialFolder, manifest: Manifest): Promise<number> {
  let total = 0;
  for (const { path: name, size } of manifest.files) {
    try {
      const { blocks } = await stat(path.join(folder.files, name));
      // In units of 512 bytes, whatever the disk's own are; undefined on Windows.
      total += Math.min(size, (blocks ?? 0) * 512);
    } catch (error) {
      if (failureCode(error) !== 'ENOENT') throw error;
    }
  }
  return total;
}
