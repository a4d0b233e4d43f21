import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import type { RepackedVersion } from '../../node/store/store-packing.ts';
import type { StoreEntry, VersionKnowledge } from '../../node/store/store-upkeep.ts';
import { VersionStore, type VersionStoreInit } from '../../node/store/version-store.ts';
import { digestText, sha256 } from '../../protocols/digest.ts';
import { WHOLE } from '../../protocols/transfer/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { storedFiles, withBytes } from '../compliance/store.suite.ts';
import { noise } from './noise.ts';
import { present } from './present.ts';
import { createTestFolder } from './test-folder.ts';
import { createVersionFixture, manifestDigest, type VersionFixture } from './version-fixture.ts';

export const CHUNK_BYTES = 64 * 1024;
export const CHUNKS = 48;
export const FILE_BYTES = CHUNKS * CHUNK_BYTES;

const WEIGHTS = noise(FILE_BYTES, 1);

/** A version of one model: every one has a few chunks of its own in one place of the same weights. */
export function revision(seed: number, changedChunks = 1): VersionFixture {
  const change = noise(changedChunks * CHUNK_BYTES, 100 + seed);
  const model = withBytes(WEIGHTS, 5 * CHUNK_BYTES, change);
  return createVersionFixture({
    files: { 'model.onnx': model, 'labels.txt': noise(99, 7) },
    chunkBytes: CHUNK_BYTES,
  });
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** What a test says of the node. */
export class PackingKnowledge implements VersionKnowledge {
  readonly used = new Set<VersionCid>();
  readonly pointedAt = new Set<VersionCid>();
  /** Other peers that have every version. */
  holders = 0;
  inUse(cid: VersionCid): boolean {
    return this.used.has(cid);
  }
  async released(): Promise<boolean> {
    return true;
  }
  async current(cid: VersionCid): Promise<boolean> {
    return this.pointedAt.has(cid);
  }
  async otherHolders(): Promise<number> {
    return this.holders;
  }
}

/** A store whose versions are packed, in a folder that goes with it. */
export class PackingStore implements AsyncDisposable {
  readonly knowledge = new PackingKnowledge();
  store: VersionStore;
  readonly #folder: Awaited<ReturnType<typeof createTestFolder>>;

  private constructor(folder: Awaited<ReturnType<typeof createTestFolder>>, store: VersionStore) {
    this.#folder = folder;
    this.store = store;
  }

  static async open(): Promise<PackingStore> {
    const folder = await createTestFolder();
    const opened = new PackingStore(folder, await VersionStore.open(folder.path));
    await opened.reopen();
    return opened;
  }

  at(...names: string[]): string {
    return path.join(this.#folder.path, ...names);
  }

  async reopen(init: VersionStoreInit = { knowledge: this.knowledge }): Promise<void> {
    await this.store.close();
    this.store = await VersionStore.open(this.#folder.path, init);
  }

  async pack(): Promise<RepackedVersion[]> {
    return collect(this.store.packing.pack({ idleMs: 0 }));
  }

  async entries(): Promise<Map<string, StoreEntry>> {
    return new Map((await this.store.upkeep.list()).map((entry) => [entry.cid, entry]));
  }

  async stateOf({ cid }: VersionFixture): Promise<string | undefined> {
    return (await this.entries()).get(cid)?.state;
  }

  /** What is wrong with any version. */
  async faults(): Promise<readonly string[]> {
    return (await collect(this.store.upkeep.verify())).flatMap((one) => one.faults);
  }

  async expectServed(version: VersionFixture): Promise<void> {
    expect(await this.store.holdings(manifestDigest(version))).toEqual(WHOLE);
    for (const [key, block] of version.blocks) {
      const found = present(await this.store.read(sha256(block)));
      expect(digestText(sha256(found))).toBe(key);
    }
  }

  async expectFiles(version: VersionFixture): Promise<void> {
    const stored = present(await storedFiles(this.store, version));
    expect(digests(stored)).toEqual(digests(version.files));
  }

  async flip(file: string, offset: number): Promise<void> {
    const bytes = await readFile(file);
    await writeFile(file, withBytes(bytes, offset, Uint8Array.of((bytes[offset] ?? 0) ^ 1)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close();
    await this.#folder[Symbol.asyncDispose]();
  }
}

/** Contents by name, in a form that is fast to compare. */
function digests(files: ReadonlyMap<string, Uint8Array>): Record<string, string> {
  return Object.fromEntries([...files].map(([name, bytes]) => [name, digestText(sha256(bytes))]));
}
