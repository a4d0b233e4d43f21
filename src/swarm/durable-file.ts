import { randomBytes } from 'node:crypto';
import { link, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';

/**
 * Writes a file so that after a crash at any moment it is there whole, or as it was before: into a new file beside it,
 * synced, then renamed over it, then the folder synced.
 */
export async function writeDurably(file: string, bytes: Uint8Array, mode = 0o644): Promise<void> {
  const temporary = await writeTemporary(file, bytes, mode);
  try {
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(path.dirname(file));
}

/** {@link writeDurably} for a file that must not replace another: false when one is there, also one that just came. */
export async function createDurably(
  file: string,
  bytes: Uint8Array,
  mode = 0o644,
): Promise<boolean> {
  const temporary = await writeTemporary(file, bytes, mode);
  try {
    // Of two processes that create the file at once, a rename would let the second win over the first.
    await link(temporary, file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
  await syncFolder(path.dirname(file));
  return true;
}

async function writeTemporary(file: string, bytes: Uint8Array, mode: number): Promise<string> {
  // Hidden: what a crash leaves in a package's folder must not become a file of the package.
  const name = `.${path.basename(file)}.${randomBytes(6).toString('hex')}.tmp`;
  const temporary = path.join(path.dirname(file), name);
  try {
    const handle = await open(temporary, 'wx', mode);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    return temporary;
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Makes renames and new names in a folder outlive a power loss. */
export async function syncFolder(folder: string): Promise<void> {
  // Windows can neither open nor sync a folder; NTFS journals names by itself.
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
