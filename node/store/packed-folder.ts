import path from 'node:path';
import type { StoredPlace } from './store-index.ts';
import type { StoreFolders } from './store-folders.ts';

/**
 * What is on disk of a complete version that is kept as its difference from others.
 *
 *     packed/<cid>/<n>/files/<path>   files that are there whole, by a second name where another version has them
 *     packed/<cid>/<n>/base/<path>    a second name of another version's file, which has most chunks of this one
 *     packed/<cid>/<n>/own            the chunks that no base has, one after another
 *
 * The recipe is in the index: the place of each chunk. What a base has besides is nobody's business, and when its own version
 * goes, the name here keeps its bytes.
 */
export function packedRoot(packedFolder: string, cid: string, packed: number): string {
  return path.join(packedFolder, cid, String(packed));
}

/** Chunks that no base has. */
export const OWN_PATH = 'own';

export function wholePath(name: string): string {
  return path.join('files', name);
}

export function basePath(name: string): string {
  return path.join('base', name);
}

/** A file of a packed form. */
export function packedFile(
  packedFolder: string,
  {
    cid,
    packed,
    path: name,
  }: { readonly cid: string; readonly packed: number; readonly path: string },
): string {
  return path.join(packedRoot(packedFolder, cid, packed), name);
}

/** The file that a chunk stands in. */
export function placeFile(
  { versions, packed: packedFolder }: Pick<StoreFolders, 'versions' | 'packed'>,
  { cid, packed, path: name }: StoredPlace,
): string {
  if (packed === undefined) return path.join(versions, cid, name);
  return packedFile(packedFolder, { cid, packed, path: name });
}
