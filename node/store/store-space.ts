import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { failureCode } from './store-failure.ts';
import type { StoreFolders } from './store-recovery.ts';

/** Bytes that one version, whole or in part, takes on the disk. */
export interface VersionSpace {
  readonly bytes: number;
  /** Of these, what removing the version gives back: not files that another version has too. */
  readonly freedBytes: number;
}

export interface StoreSpace {
  /** All files together, one that several versions have counted once. */
  readonly usedBytes: number;
  /** By CID; complete ones and those on their way in. */
  readonly versions: ReadonlyMap<string, VersionSpace>;
}

/** Measures what the files of all versions take on the disk; holes take nothing. */
export async function measureSpace(folders: StoreFolders): Promise<StoreSpace> {
  const files: { readonly cid: string; readonly inode: string; readonly bytes: number }[] = [];
  const add = async (cid: string, folder: string): Promise<void> => {
    for (const name of await namesIn(folder)) {
      const found = await statOf(path.join(folder, name));
      if (found !== undefined) files.push({ cid, ...found });
    }
  };
  for (const cid of await namesIn(folders.versions))
    await add(cid, path.join(folders.versions, cid));
  for (const cid of await namesIn(folders.partial)) {
    await add(cid, path.join(folders.partial, cid, 'files'));
  }
  const links = new Map<string, number>();
  for (const { inode } of files) links.set(inode, (links.get(inode) ?? 0) + 1);
  const versions = new Map<string, VersionSpace>();
  let usedBytes = 0;
  for (const { cid, inode, bytes } of files) {
    const count = links.get(inode) ?? 1;
    usedBytes += bytes / count;
    const before = versions.get(cid) ?? { bytes: 0, freedBytes: 0 };
    versions.set(cid, {
      bytes: before.bytes + bytes,
      freedBytes: before.freedBytes + (count === 1 ? bytes : 0),
    });
  }
  return { usedBytes: Math.round(usedBytes), versions };
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    // Versions come and go while they are measured; what else lies there is no folder.
    if (['ENOENT', 'ENOTDIR'].includes(failureCode(error) ?? '')) return [];
    throw error;
  }
}

async function statOf(file: string): Promise<{ inode: string; bytes: number } | undefined> {
  try {
    const { dev, ino, blocks, size } = await stat(file, { bigint: true });
    // In units of 512 bytes, whatever the disk's own are; Windows does not tell.
    const bytes = process.platform === 'win32' ? size : blocks * 512n;
    return { inode: `${dev}:${ino}`, bytes: Number(bytes) };
  } catch (error) {
    if (failureCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
