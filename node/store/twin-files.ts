import { access, link } from 'node:fs/promises';
import path from 'node:path';
import type { Manifest, ManifestFile } from '../../protocols/manifest/index.ts';
import { packedFile, wholePath } from './packed-folder.ts';
import type { StoreIndex } from './store-index.ts';
import type { StoreFolders } from './store-folders.ts';

/** A file of a version to be fetched whose bytes another version has. */
export interface TwinFile {
  readonly from: string;
  readonly to: string;
  readonly size: number;
}

/** Files that did not change since another version: they need neither be fetched nor stored again. */
export async function findTwins(
  index: StoreIndex,
  manifest: Manifest,
  folders: Pick<StoreFolders, 'versions' | 'packed'> & { readonly files: string },
): Promise<TwinFile[]> {
  const twins: TwinFile[] = [];
  for (const file of manifest.files) {
    const from = file.size === 0 ? undefined : await findTwin(index, file, folders);
    if (from === undefined) continue;
    twins.push({ from, to: path.join(folders.files, file.path), size: file.size });
  }
  return twins;
}

async function findTwin(
  index: StoreIndex,
  file: ManifestFile,
  folders: Pick<StoreFolders, 'versions' | 'packed'>,
): Promise<string | undefined> {
  for await (const { cid, path: name, packed } of index.findFiles(file)) {
    if (packed === undefined) return path.join(folders.versions, cid, name);
    const whole = packedFile(folders.packed, { cid, packed, path: wholePath(name) });
    if (await isThere(whole)) return whole;
  }
  return undefined;
}

async function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

/** Gives unchanged files a second name. Each has the same chunks in both versions: whoever repairs one repairs the other. */
export async function linkTwins(twins: readonly TwinFile[]): Promise<void> {
  for (const { from, to } of twins) {
    try {
      await link(from, to);
    } catch {
      // Begun before, gone, or not possible on this disk: the chunks that are missing are copied or fetched right after.
    }
  }
}
