import { link } from 'node:fs/promises';
import path from 'node:path';
import type { Manifest } from '../../protocols/manifest/index.ts';
import type { StoreIndex } from './store-index.ts';

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
  folders: { readonly versions: string; readonly files: string },
): Promise<TwinFile[]> {
  const twins: TwinFile[] = [];
  for (const file of manifest.files) {
    const found = file.size === 0 ? undefined : await index.findFile(file);
    if (found === undefined) continue;
    const from = path.join(folders.versions, found.cid, found.path);
    twins.push({ from, to: path.join(folders.files, file.path), size: file.size });
  }
  return twins;
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
