import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { StoreError } from '../../protocols/errors.ts';

/** Why a folder cannot be made, in the words of who gave its name. */
const REASONS: Readonly<Record<string, string>> = {
  EEXIST: 'something else than a folder is there',
  ENOTDIR: 'a part of its path is no folder',
  ENOENT: 'nothing can be made there',
  EACCES: 'you may not write there',
  EPERM: 'you may not write there',
  EROFS: 'the file system there is read only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'your quota of the disk is used up',
  ENAMETOOLONG: 'its name is too long',
  ELOOP: 'its links lead in a circle',
};

/**
 * Makes a folder and those above it that are not there; one that is there stays as it is.
 *
 * Not by `mkdir` with `recursive`, which never returns where a file system says of each new name that its folder, which is there,
 * is not: `/proc` does.
 *
 * @param mode of the folders that are made
 * @throws {ERR_STORE} that names the folder and says why it cannot be made.
 * @see https://github.com/nodejs/node/blob/v24.0.0/src/node_file.cc, `MKDirpAsync`: on ENOENT it tries the parent, then the folder again
 */
export async function ensureFolder(folder: string, mode = 0o777): Promise<void> {
  try {
    await ensure(path.resolve(folder), mode);
  } catch (cause) {
    const code = codeOf(cause);
    const reason = REASONS[code] ?? String(cause);
    throw new StoreError(`folder '${folder}' cannot be made: ${reason} (${code})`, { cause });
  }
}

async function ensure(folder: string, mode: number): Promise<void> {
  try {
    await makeOrFind(folder, mode);
  } catch (error) {
    const parent = path.dirname(folder);
    if (codeOf(error) !== 'ENOENT' || parent === folder) throw error;
    await ensure(parent, mode);
    await makeOrFind(folder, mode);
  }
}

async function makeOrFind(folder: string, mode: number): Promise<void> {
  try {
    await mkdir(folder, { mode });
  } catch (error) {
    // Which error a folder that is there is, differs: a drive of Windows, or a read-only disk, says something else than EEXIST.
    const found = await stat(folder).catch(() => undefined);
    if (found?.isDirectory() !== true) throw error;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'no code';
}
