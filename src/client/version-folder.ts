import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm, statfs } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { formatBytes } from '../../protocols/byte-size.ts';
import { type BlockCid, sameBytes } from '../../protocols/digest.ts';
import { InvalidRecordError, isSwarmError, StoreError } from '../../protocols/errors.ts';
import {
  type ChunkList,
  decodeManifest,
  type Manifest,
  manifestBytes,
} from '../../protocols/manifest/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { ensureFolder } from '../model/ensured-folder.ts';
import type { ChunkPlace, VersionSink, VersionTarget } from '../swarm/version-sink.ts';

/**
 * A folder that one version is fetched into, as the plain files it is. Nothing is left to go on from: what a failed fetch
 * wrote is for the caller to remove.
 */
export class VersionFolder implements VersionTarget {
  readonly #folder: string;

  /** @param folder a new one */
  constructor(folder: string) {
    this.#folder = folder;
  }

  async partialManifest(): Promise<undefined> {}

  /** @throws {ERR_STORE} when the disk has no room for it, or something is there. */
  async begin(cid: VersionCid, bytes: Uint8Array): Promise<VersionSink> {
    const manifest = decodeManifest(bytes, cid);
    return guard(`version ${cid} cannot be written to '${this.#folder}'`, async () => {
      await ensureFolder(this.#folder);
      const { bavail, bsize } = await statfs(this.#folder);
      const [neededBytes, freeBytes] = [manifestBytes(manifest), bavail * bsize];
      if (neededBytes > freeBytes) {
        throw new StoreError(
          `version ${cid} needs ${formatBytes(neededBytes)} of disk, found ${formatBytes(freeBytes)}`,
          { details: { neededBytes, freeBytes } },
        );
      }
      for (const { path: name, size } of manifest.files) {
        const file = await open(path.join(this.#folder, name), 'wx');
        try {
          // An empty file has no chunk by which it would come to be.
          await file.truncate(size);
        } finally {
          await file.close();
        }
      }
      return new FolderSink(this.#folder, cid, manifest);
    });
  }

  /** Removes the folder and all that is in it. */
  async discard(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

class FolderSink implements VersionSink {
  readonly #folder: string;
  readonly #cid: VersionCid;
  readonly #manifest: Manifest;
  readonly #lists = new Map<BlockCid, Uint8Array>();
  /** `file:index` of the chunks in place. */
  readonly #placed = new Set<string>();
  /** Ends the hashing of a file, which may take minutes. */
  readonly #closing = new AbortController();

  constructor(folder: string, cid: VersionCid, manifest: Manifest) {
    this.#folder = folder;
    this.#cid = cid;
    this.#manifest = manifest;
  }

  async chunkList(cid: BlockCid): Promise<Uint8Array | undefined> {
    return this.#lists.get(cid);
  }

  async putChunkList(cid: BlockCid, bytes: Uint8Array): Promise<void> {
    this.#lists.set(cid, bytes);
  }

  async missing(lists: readonly ChunkList[]): Promise<ChunkPlace[]> {
    const missing: ChunkPlace[] = [];
    for (const [file, chunks] of lists.entries()) {
      let offset = 0;
      for (const [index, { size, digest }] of chunks.entries()) {
        if (!this.#placed.has(`${file}:${index}`)) {
          missing.push({ file, index, offset, size, digest });
        }
        offset += size;
      }
    }
    return missing;
  }

  expect(): void {
    // Nobody else fetches into this folder.
  }

  async write({ file, index, offset }: ChunkPlace, bytes: Uint8Array): Promise<void> {
    const name = this.#manifest.files[file]?.path ?? '';
    await guard(`file '${name}' of version ${this.#cid} cannot be written`, async () => {
      const handle = await open(path.join(this.#folder, name), 'r+');
      try {
        await writeWhole(handle, bytes, offset);
      } finally {
        await handle.close();
      }
    });
    this.#placed.add(`${file}:${index}`);
  }

  async finish(): Promise<void> {
    for (const { path: name, sha256 } of this.#manifest.files) {
      const found = await guard(`file '${name}' cannot be read again`, async () => {
        const hash = createHash('sha256');
        await pipeline(createReadStream(path.join(this.#folder, name)), hash, {
          signal: this.#closing.signal,
        });
        return hash.digest();
      });
      if (sameBytes(found, sha256)) continue;
      throw new InvalidRecordError(
        `file '${name}' of version ${this.#cid} has not the sha256 that its manifest says, though every chunk is right`,
      );
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
  }
}

async function writeWhole(
  handle: Awaited<ReturnType<typeof open>>,
  bytes: Uint8Array,
  offset: number,
): Promise<void> {
  let written = 0;
  while (written < bytes.byteLength) {
    const { bytesWritten } = await handle.write(bytes, written, undefined, offset + written);
    written += bytesWritten;
  }
}

async function guard<T>(doing: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (cause) {
    if (isSwarmError(cause) || (cause instanceof Error && cause.name === 'AbortError')) throw cause;
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    throw new StoreError(`${doing}: ${code}`, { cause });
  }
}
