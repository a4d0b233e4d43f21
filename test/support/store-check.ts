import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import { VersionStore } from '../../node/store/version-store.ts';
import { digestOfCid, digestText, sha256 } from '../../protocols/digest.ts';
import { decodeChunkList } from '../../protocols/manifest/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { present } from './present.ts';

export interface StoreContents {
  readonly versions: readonly VersionCid[];
  /** The release records that are kept for what is to be served. */
  readonly releases: readonly Uint8Array[];
}

/**
 * Opens the store of a node that does not run, which puts in order what a crash left, and checks it through: every block that
 * the index has hashes to its digest, every file to what its manifest says, and nothing lies about that belongs to no version.
 */
export async function checkStore(folder: string): Promise<StoreContents> {
  const store = await VersionStore.open(folder);
  try {
    const versions = (await readdir(path.join(folder, 'versions'))) as VersionCid[];
    for (const cid of versions) await checkVersion(store, cid);
    const wanted = await store.wanted();
    return { versions, releases: wanted.flatMap(({ release }) => release ?? []) };
  } finally {
    await store.close();
  }
}

async function checkVersion(store: VersionStore, cid: VersionCid): Promise<void> {
  const { manifest, directory } = present(await store.get(cid));
  await readBlock(store, digestOfCid(cid));
  for (const file of manifest.files) {
    for (const { digest, size } of decodeChunkList(
      await readBlock(store, digestOfCid(file.chunks)),
      file.chunks,
    )) {
      expect((await readBlock(store, digest)).byteLength).toBe(size);
    }
    const bytes = await readFile(path.join(directory, file.path));
    const found = createHash('sha256').update(bytes).digest('hex');
    expect({ file: file.path, sha256: found }).toEqual({
      file: file.path,
      sha256: digestText(file.sha256),
    });
  }
  expect((await readdir(directory)).toSorted()).toEqual(
    manifest.files.map((f) => f.path).toSorted(),
  );
}

async function readBlock(store: VersionStore, digest: Uint8Array): Promise<Uint8Array> {
  const block = present(await store.read(digest));
  expect(digestText(sha256(block))).toBe(digestText(digest));
  return block;
}
