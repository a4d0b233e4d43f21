import { stat } from 'node:fs/promises';
import path from 'node:path';
import { cidOfDigest, digestOfCid, digestText } from '../../protocols/digest.ts';
import { InvalidInputError, StoreError } from '../../protocols/errors.ts';
import {
  type ChunkList,
  decodeChunkList,
  type Manifest,
  type ManifestFile,
} from '../../protocols/manifest/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import type { PartialFolder } from './partial-folder.ts';
import { failureCode, storeFailure } from './store-failure.ts';
import type { StoreIndex } from './store-index.ts';

/** True when every file is there with its size; what is inside is checked when it is read. */
export async function hasFiles(directory: string, manifest: Manifest): Promise<boolean> {
  for (const { path: name, size } of manifest.files) {
    try {
      const found = await stat(path.join(directory, name));
      if (!found.isFile() || found.size !== size) return false;
    } catch (error) {
      if (failureCode(error) === 'ENOENT') return false;
      throw storeFailure(`version in ${directory} cannot be read`, error);
    }
  }
  return true;
}

/** The chunk list of a file as the index has it; undefined when it is missing or damaged: then it is fetched again. */
export async function readChunkList(
  index: StoreIndex,
  { chunks }: ManifestFile,
): Promise<ChunkList | undefined> {
  const bytes = await index.block(digestText(digestOfCid(chunks)));
  try {
    return bytes === undefined ? undefined : decodeChunkList(bytes, chunks);
  } catch {
    // Damaged is as good as missing.
    return undefined;
  }
}

/** The chunk lists of all files, in the order of the manifest; undefined when one is missing or damaged. */
export async function readChunkLists(
  index: StoreIndex,
  { files }: Manifest,
): Promise<ChunkList[] | undefined> {
  const lists: ChunkList[] = [];
  for (const file of files) {
    const list = await readChunkList(index, file);
    if (list === undefined) return undefined;
    lists.push(list);
  }
  return lists;
}

/** The manifest and the chunk lists that a finished version goes into the index with. */
export async function readBlocks(
  folder: PartialFolder,
  cid: VersionCid,
  manifest: Manifest,
): Promise<Map<string, Uint8Array>> {
  const blocks = new Map<string, Uint8Array>();
  const put = (key: string, bytes: Uint8Array | undefined): void => {
    if (bytes === undefined) throw new StoreError(`block ${key} of version ${cid} left the disk`);
    blocks.set(key, bytes);
  };
  put(digestText(digestOfCid(cid)), await folder.manifest());
  for (const { chunks } of manifest.files) {
    const key = digestText(digestOfCid(chunks));
    if (!blocks.has(key)) put(key, await folder.list(key));
  }
  return blocks;
}

/**
 * A CID is a folder's name here: only the one text that this program itself makes of it will do.
 *
 * @throws {ERR_INVALID_INPUT} when it is another.
 */
export function checkCid(cid: VersionCid): void {
  if (cidOfDigest(digestOfCid(cid)).toString() === cid) return;
  throw new InvalidInputError(`CID ${JSON.stringify(cid)} is not in base32, expected bafyrei…`);
}
