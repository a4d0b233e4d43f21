import { digestText, sameBytes, sha256 } from '../../protocols/digest.ts';
import { CorruptError, isSwarmError } from '../../protocols/errors.ts';
import type { BlockSource } from '../../protocols/transfer/index.ts';
import type { AbortOptions, VersionCid } from '../../protocols/types.ts';
import { readRange } from './file-range.ts';
import { placeFile } from './packed-folder.ts';
import type { PartialVersion } from './partial-version.ts';
import { storeFailure } from './store-failure.ts';
import type { StoredPlace, StoreIndex } from './store-index.ts';
import type { StoreFolders } from './store-folders.ts';

export interface BlockReaderComponents {
  readonly index: StoreIndex;
  readonly folders: Pick<StoreFolders, 'versions' | 'packed'>;
  /** Versions on their way in, whose verified blocks are served too. */
  readonly partials: () => Iterable<PartialVersion>;
}

/** Times that a chunk is looked for where the index says it is: a version may be packed or unpacked between look and read. */
const MAX_LOOKS = 3;

/** Finds blocks by digest in whatever is on disk. Nothing leaves it that was not hashed after it was read. */
export class BlockReader implements BlockSource {
  readonly #components: BlockReaderComponents;
  /** When a chunk of each version was last read here; an entry goes with its version. */
  readonly #readMs = new Map<VersionCid, number>();

  constructor(components: BlockReaderComponents) {
    this.#components = components;
  }

  /** Milliseconds since 1970; undefined when no chunk of the version was read since the store was opened. */
  lastReadMs(cid: VersionCid): number | undefined {
    return this.#readMs.get(cid);
  }

  /** A version left the disk. */
  forget(cid: VersionCid): void {
    this.#readMs.delete(cid);
  }

  /** @see BlockSource.read; notes that others read the version. */
  async read(digest: Uint8Array, options: AbortOptions = {}): Promise<Uint8Array | undefined> {
    options.signal?.throwIfAborted();
    const key = digestText(digest);
    try {
      for (const partial of this.#components.partials()) {
        const block = await partial.read(key);
        if (block !== undefined) return block;
        options.signal?.throwIfAborted();
      }
      const indexed = await this.#indexed(digest);
      if (indexed !== undefined) return indexed;
      const chunk = await this.#chunk(digest);
      if (chunk !== undefined) this.#readMs.set(chunk.cid, Date.now());
      return chunk?.bytes;
    } catch (cause) {
      if (options.signal?.aborted === true) throw cause;
      throw storeFailure(`block ${key} cannot be read`, cause);
    }
  }

  /** A block for the store itself; undefined when it is nowhere here whole. */
  async find(digest: Uint8Array): Promise<Uint8Array | undefined> {
    const key = digestText(digest);
    try {
      for (const partial of this.#components.partials()) {
        const block = await partial.read(key);
        if (block !== undefined) return block;
      }
      return (await this.#indexed(digest)) ?? (await this.#chunk(digest))?.bytes;
    } catch (cause) {
      const failure = storeFailure(`block ${key} cannot be read`, cause);
      // What is damaged is as good as absent.
      if (isSwarmError(failure) && failure.code === 'ERR_CORRUPT') return undefined;
      throw failure;
    }
  }

  /** A manifest or chunk list of a complete version. */
  async #indexed(digest: Uint8Array): Promise<Uint8Array | undefined> {
    const key = digestText(digest);
    const block = await this.#components.index.block(key);
    if (block === undefined || sameBytes(sha256(block), digest)) return block;
    throw new CorruptError(`block ${key} on this disk hashes to ${digestText(sha256(block))}`, {
      details: { digest: key },
    });
  }

  /** A chunk of a complete version; a version where it is damaged is noted as such. */
  async #chunk(
    digest: Uint8Array,
  ): Promise<{ readonly bytes: Uint8Array; readonly cid: VersionCid } | undefined> {
    const { index } = this.#components;
    const key = digestText(digest);
    let damaged: StoredPlace | undefined;
    for (const { cid } of await index.places(key)) {
      const found = await this.#chunkOf(cid, digest);
      if (found instanceof Uint8Array) return { bytes: found, cid };
      if (found === undefined) continue;
      await index.markDamaged(cid);
      damaged = found;
    }
    if (damaged === undefined) return undefined;
    throw new CorruptError(
      `chunk ${key} is damaged on this disk, at ${damaged.offset} of '${damaged.path}' of version ${damaged.cid}`,
      { details: { digest: key, version: damaged.cid, path: damaged.path } },
    );
  }

  /** A chunk of one version, or the place where it should be and is not; undefined when the version has left. */
  async #chunkOf(
    cid: VersionCid,
    digest: Uint8Array,
  ): Promise<Uint8Array | StoredPlace | undefined> {
    const { index, folders } = this.#components;
    const key = digestText(digest);
    let looked: StoredPlace | undefined;
    for (let look = 0; look < MAX_LOOKS; look += 1) {
      const place = (await index.places(key)).find((one) => one.cid === cid);
      // A version that is being removed has lost its entry before its files.
      if (place === undefined || (await index.version(cid)) === undefined) return undefined;
      if (looked !== undefined && looked.packed === place.packed) return looked;
      const bytes = await readRange(placeFile(folders, place), place.offset, place.size);
      if (bytes !== undefined && sameBytes(sha256(bytes), digest)) return bytes;
      looked = place;
    }
    return looked;
  }
}
