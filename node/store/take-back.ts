import { rename } from 'node:fs/promises';
import path from 'node:path';
import { digestOfCid, digestText } from '../../protocols/digest.ts';
import type { Manifest } from '../../protocols/manifest/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { syncFolder } from '../../src/swarm/durable-file.ts';
import { PartialFolder } from './partial-folder.ts';
import { failureCode } from './store-failure.ts';
import type { StoreIndex } from './store-index.ts';
import type { StoreFolders } from './store-folders.ts';

/** Makes a complete version one that is being fetched, so that what is damaged of it can be replaced. */
export async function takeBack(
  folders: StoreFolders,
  index: StoreIndex,
  {
    cid,
    manifest,
    bytes,
  }: { readonly cid: VersionCid; readonly manifest: Manifest; readonly bytes: Uint8Array },
): Promise<void> {
  const entry = await index.version(cid);
  // A packed one stays until its files are whole beside it: it has chunks to be copied.
  if (entry === undefined || entry.packed !== undefined) return;
  const folder = new PartialFolder(folders.partial, cid);
  await folder.remove();
  await folder.create(bytes);
  for (const { chunks } of manifest.files) {
    const key = digestText(digestOfCid(chunks));
    const list = await index.block(key);
    if (list !== undefined) await folder.putList(key, list);
  }
  await syncFolder(folders.partial);
  await index.removeVersion(cid);
  try {
    await rename(path.join(folders.versions, cid), folder.files);
  } catch (error) {
    if (failureCode(error) !== 'ENOENT') throw error;
    // Its files were removed by hand: all of it is fetched.
  }
  await syncFolder(folders.versions);
  await syncFolder(folder.root);
}
