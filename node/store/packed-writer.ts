import { link, mkdir, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { digestText, sameBytes, sha256 } from '../../protocols/digest.ts';
import { CorruptError } from '../../protocols/errors.ts';
import type { ChunkList } from '../../protocols/manifest/index.ts';
import { syncFolder } from '../../src/swarm/durable-file.ts';
import { readFully } from './file-range.ts';
import { basePath, OWN_PATH, wholePath } from './packed-folder.ts';
import type { StoredPlace } from './store-index.ts';

/** How one file is kept in a packed form. */
export interface PackedFileLayout {
  readonly name: string;
  readonly list: ChunkList;
  /** The file to be linked: this one itself, or its base. */
  readonly from: string;
  /** Where the base has chunks, by digest in hexadecimal; undefined when the file is there whole. */
  readonly inBase: ReadonlyMap<string, number> | undefined;
}

export type PackedPlaces = ReadonlyMap<string, Omit<StoredPlace, 'cid' | 'packed'>>;

export interface PackedWriterInit {
  /** The folder of the packed form, which is made; what a crash left there goes. */
  readonly root: string;
  /** A chunk from anywhere on this disk, verified. */
  readonly find: (digest: Uint8Array) => Promise<Uint8Array | undefined>;
  readonly signal: AbortSignal;
}

/** Writes a packed form, durably. Every chunk of a base is read and checked first: the file that it replaces goes. */
export class PackedWriter {
  readonly #init: PackedWriterInit;
  /** One place for each chunk, in whichever file it stands. */
  readonly #places = new Map<string, Omit<StoredPlace, 'cid' | 'packed'>>();

  constructor(init: PackedWriterInit) {
    this.#init = init;
  }

  /**
   * @throws {ERR_CORRUPT} when a chunk is nowhere on this disk.
   * @throws the system's error when the disk has no hard links, or refuses.
   */
  async write(files: readonly PackedFileLayout[]): Promise<PackedPlaces> {
    const { root } = this.#init;
    await rm(root, { recursive: true, force: true });
    for (const folder of ['files', 'base'])
      await mkdir(path.join(root, folder), { recursive: true });
    for (const file of files) if (file.inBase === undefined) await this.#linkWhole(file);
    for (const { name, list, from, inBase } of files) {
      if (inBase === undefined) continue;
      await link(from, path.join(root, basePath(name)));
      await this.#takeFromBase(basePath(name), list, inBase);
    }
    await this.#writeOwn(files.flatMap(({ list }) => list));
    for (const folder of ['files', 'base', '.', '..', '../..']) {
      await syncFolder(path.join(root, folder));
    }
    return this.#places;
  }

  async #linkWhole({ name, list, from }: PackedFileLayout): Promise<void> {
    await link(from, path.join(this.#init.root, wholePath(name)));
    let offset = 0;
    for (const { digest, size } of list) {
      this.#places.set(digestText(digest), { path: wholePath(name), offset, size });
      offset += size;
    }
  }

  async #takeFromBase(
    name: string,
    list: ChunkList,
    inBase: ReadonlyMap<string, number>,
  ): Promise<void> {
    const handle = await open(path.join(this.#init.root, name), 'r');
    try {
      for (const { digest, size } of list) {
        this.#init.signal.throwIfAborted();
        const key = digestText(digest);
        const offset = inBase.get(key);
        if (offset === undefined || this.#places.has(key)) continue;
        const bytes = new Uint8Array(size);
        const whole = await readFully(handle, bytes, offset);
        // Damaged there: it becomes one of this version's own.
        if (whole && sameBytes(sha256(bytes), digest))
          this.#places.set(key, { path: name, offset, size });
      }
    } finally {
      await handle.close();
    }
  }

  async #writeOwn(chunks: ChunkList): Promise<void> {
    const { root, find, signal } = this.#init;
    const handle = await open(path.join(root, OWN_PATH), 'wx');
    try {
      let offset = 0;
      for (const { digest, size } of chunks) {
        signal.throwIfAborted();
        const key = digestText(digest);
        if (this.#places.has(key)) continue;
        const bytes = await find(digest);
        if (bytes === undefined) throw new CorruptError(`chunk ${key} is nowhere on this disk`);
        await handle.writeFile(bytes);
        this.#places.set(key, { path: OWN_PATH, offset, size });
        offset += size;
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}
