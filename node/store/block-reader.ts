import path from 'node:path';
import { digestText, sameBytes, sha256 } from '../../protocols/digest.ts';
import { CorruptError } from '../../protocols/errors.ts';
import type { BlockSource } from '../../protocols/transfer/index.ts';
import type { AbortOptions, VersionCid } from '../../protocols/types.ts';
import { readRange } from './file-range.ts';
import type { PartialVersion } from './partial-version.ts';
import { storeFailure } from './store-failure.ts';
import type { StoredPlace, StoreIndex } from './store-index.ts';

export interface BlockReaderComponents {
  readonly index: StoreIndex;
  /** The folder of complete versions. */
  readonly versionsFolder: string;
  /** Versions on their way in, whose verified blocks are served too. */
  readonly partials: () => Iterable<PartialVersion>;
}

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

  async read(digest: Uint8Array, options: AbortOptions = {}): Promise<Uint8Array | undefined> {
    options.signal?.throwIfAborted();
    const key = digestText(digest);
    try {
      for (const partial of this.#components.partials()) {
        const block = await partial.read(key);
        if (block !== undefined) return block;
        options.signal?.throwIfAborted();
      }
      return (await this.#indexed(digest)) ?? (await this.#chunk(digest));
    } catch (cause) {
      if (options.signal?.aborted === true) throw cause;
      throw storeFailure(`block ${key} cannot be read`, cause);
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
  async #chunk(digest: Uint8Array): Promise<Uint8Array | undefined> {
    const { index, versionsFolder } = this.#components;
    const key = digestText(digest);
    let damaged: StoredPlace | undefined;
    for (const place of await index.places(key)) {
      const file = path.join(versionsFolder, place.cid, place.path);
      const bytes = await readRange(file, place.offset, place.size);
      if (bytes !== undefined && sameBytes(sha256(bytes), digest)) {
        this.#readMs.set(place.cid, Date.now());
        return bytes;
      }
      // A version that is being removed has lost its entry before its files.
      if ((await index.version(place.cid)) === undefined) continue;
      await index.markDamaged(place.cid);
      damaged = place;
    }
    if (damaged === undefined) return undefined;
    throw new CorruptError(
      `chunk ${key} is damaged on this disk, at ${damaged.offset} of '${damaged.path}' of version ${damaged.cid}`,
      { details: { digest: key, version: damaged.cid, path: damaged.path } },
    );
  }
}
