import { readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { VersionCid } from '../../protocols/types.ts';
import { syncFolder } from '../../src/swarm/durable-file.ts';
import { packedRoot } from './packed-folder.ts';
import { PartialFolder } from './partial-folder.ts';
import { failureCode } from './store-failure.ts';
import type { StoreIndex, VersionEntry } from './store-index.ts';
import type { StoreFolders } from './store-folders.ts';

/**
 * Puts folders and index back in step after a crash. A version becomes complete, or is taken back to be repaired, by a
 * rename and a change of the index, and is removed by the same: whichever came first, the other is made up for here.
 *
 * | index | `versions/` | `partial/` | then |
 * |---|---|---|---|
 * | complete | there | there | the crash came before the last step of a fetch: `partial/` goes |
 * | complete | gone | any | somebody removed the files: the entry goes, what is in `partial/` stays |
 * | not | there | without files | the crash came between rename and index: the files go back to `partial/` |
 * | not | there | gone, or with files | the crash came before the last step of a removal: the files go |
 *
 * A version is packed, packed anew, or unpacked by writing the new folder whole, a change of the index, and the removal of
 * the old folder: the one that the index does not name goes. What came of the repair of a damaged packed one is kept.
 */
export async function recoverFolders(folders: StoreFolders, index: StoreIndex): Promise<void> {
  const complete = new Map<string, VersionEntry>();
  for (const cid of await index.versions()) {
    const entry = await index.version(cid);
    if (entry !== undefined) complete.set(cid, entry);
  }
  for (const name of await readdir(folders.versions)) {
    const entry = complete.get(name);
    if (entry === undefined) await recoverFiles(folders, name as VersionCid);
    else if (entry.packed === undefined) await rmTree(path.join(folders.partial, name));
    else if (entry.damaged) await recoverFiles(folders, name as VersionCid);
    else await rmTree(path.join(folders.versions, name));
  }
  for (const cid of await readdir(folders.derived)) {
    if (complete.get(cid)?.packed !== undefined || !complete.has(cid)) {
      await rmTree(path.join(folders.derived, cid));
    }
  }
  for (const cid of await readdir(folders.packed)) {
    await recoverPacked(folders, cid, complete.get(cid));
  }
  for (const [cid, { packed }] of complete) {
    const folder =
      packed === undefined
        ? path.join(folders.versions, cid)
        : packedRoot(folders.packed, cid, packed);
    if (!(await exists(folder))) await index.removeVersion(cid as VersionCid);
  }
}

async function recoverPacked(
  { packed, partial }: StoreFolders,
  cid: string,
  entry: VersionEntry | undefined,
): Promise<void> {
  const folder = path.join(packed, cid);
  if (entry?.packed === undefined) return rmTree(folder);
  for (const generation of await readdir(folder)) {
    if (generation !== String(entry.packed)) await rmTree(path.join(folder, generation));
  }
  // It was being unpacked, which begins anew when its files are wanted again.
  if (!entry.damaged) await rmTree(path.join(partial, cid));
}

async function recoverFiles(folders: StoreFolders, cid: VersionCid): Promise<void> {
  const partial = new PartialFolder(folders.partial, cid);
  const files = path.join(folders.versions, cid);
  if (!(await exists(partial.root)) || (await exists(partial.files))) return rmTree(files);
  await rename(files, partial.files);
  await syncFolder(folders.versions);
  await syncFolder(partial.root);
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    if (failureCode(error) === 'ENOENT') return false;
    throw error;
  }
}

function rmTree(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true });
}
