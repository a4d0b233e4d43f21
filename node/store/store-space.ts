import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { SharedFile } from '../../src/policy/store-eviction.ts';
import { packedRoot } from './packed-folder.ts';
import { failureCode } from './store-failure.ts';
import type { StoreFolders } from './store-folders.ts';

/** Bytes that one version, whole, packed or in part, takes on the disk. */
export interface VersionSpace {
  /** Of a packed version without the bases that another version has too. */
  readonly bytes: number;
  /** Of these, what removing the version gives back: not files that another version has too. */
  readonly freedBytes: number;
  /** Files that another version has too. */
  readonly sharedFiles: readonly SharedFile[];
}

export interface StoreSpace {
  /** All files together, one that several versions have counted once. */
  readonly usedBytes: number;
  /** By CID; complete ones and those on their way in. */
  readonly versions: ReadonlyMap<string, VersionSpace>;
}

/** A file of a version that is measured. */
interface MeasuredFile {
  readonly cid: string;
  readonly id: string;
  readonly bytes: number;
  /** True for a base, which is there because of another version as long as that has it. */
  readonly base: boolean;
}

/** Measures what the files of all versions take on the disk; holes take nothing. */
export async function measureSpace(folders: StoreFolders): Promise<StoreSpace> {
  const files = await filesOf(folders);
  const names = new Map<string, MeasuredFile[]>();
  for (const file of files) names.set(file.id, [...(names.get(file.id) ?? []), file]);
  const versions = new Map<string, VersionSpace>();
  let usedBytes = 0;
  for (const [id, same] of names) {
    const { bytes } = same[0] ?? { bytes: 0 };
    usedBytes += bytes;
    const having = new Set(same.map(({ cid }) => cid));
    const shared = having.size > 1;
    for (const cid of having) {
      const own = same.filter((file) => file.cid === cid);
      const counted = own.filter(({ base }) => !(base && shared)).length;
      const before = versions.get(cid) ?? { bytes: 0, freedBytes: 0, sharedFiles: [] };
      versions.set(cid, {
        bytes: before.bytes + (counted > 0 ? bytes : 0),
        freedBytes: before.freedBytes + (shared ? 0 : bytes),
        sharedFiles: shared
          ? [...before.sharedFiles, { id, bytes, versions: having.size }]
          : before.sharedFiles,
      });
    }
  }
  return { usedBytes, versions };
}

async function filesOf(folders: StoreFolders): Promise<MeasuredFile[]> {
  const files: MeasuredFile[] = [];
  const add = async (cid: string, folder: string, base = false): Promise<void> => {
    for (const name of await namesIn(folder)) {
      const found = await fileId(path.join(folder, name));
      if (found !== undefined) files.push({ cid, base, id: found.id, bytes: found.bytes });
    }
  };
  for (const cid of await namesIn(folders.versions)) {
    await add(cid, path.join(folders.versions, cid));
  }
  for (const cid of await namesIn(folders.partial)) {
    await add(cid, path.join(folders.partial, cid, 'files'));
  }
  for (const cid of await namesIn(folders.derived)) {
    for (const kind of await namesIn(path.join(folders.derived, cid))) {
      await add(cid, path.join(folders.derived, cid, kind));
    }
  }
  for (const cid of await namesIn(folders.packed)) {
    for (const packed of await namesIn(path.join(folders.packed, cid))) {
      const root = packedRoot(folders.packed, cid, Number(packed));
      await add(cid, root);
      await add(cid, path.join(root, 'files'));
      await add(cid, path.join(root, 'base'), true);
    }
  }
  return files;
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

/** Which file a name leads to, and the bytes that it takes; undefined when it leads to none. */
export async function fileId(
  file: string,
): Promise<{ readonly id: string; readonly bytes: number; readonly links: number } | undefined> {
  try {
    const found = await stat(file, { bigint: true });
    if (!found.isFile()) return undefined;
    const { dev, ino, blocks, size, nlink } = found;
    // In units of 512 bytes, whatever the disk's own are; Windows does not tell.
    const bytes = process.platform === 'win32' ? size : blocks * 512n;
    return { id: `${dev}:${ino}`, bytes: Number(bytes), links: Number(nlink) };
  } catch (error) {
    if (failureCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
