import { readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { VersionCid } from '../../protocols/types.ts';
import { syncFolder } from '../../src/swarm/durable-file.ts';
import { PartialFolder } from './partial-folder.ts';
import { failureCode } from './store-failure.ts';
import type { StoreIndex } from './store-index.ts';

/** The folders of a store beside its index. */
export interface StoreFolders {
  /** Complete versions, one folder each, that holds the version's files and nothing else. */
  readonly versions: string;
  /** Versions on their way in. */
  readonly partial: string;
}

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
 */
export async function recoverFolders(folders: StoreFolders, index: StoreIndex): Promise<void> {
  const complete = new Set<string>(await index.versions());
  for (const name of await readdir(folders.versions)) {
    if (complete.has(name)) await rmTree(path.join(folders.partial, name));
    else await recoverFiles(folders, name as VersionCid);
  }
  for (const cid of complete) {
    const there = await exists(path.join(folders.versions, cid));
    if (!there) await index.removeVersion(cid as VersionCid);
  }
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
