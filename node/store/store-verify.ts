import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { digestText, sameBytes, sha256 } from '../../protocols/digest.ts';
import type { ChunkList, ManifestFile } from '../../protocols/manifest/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { ChunkMap } from './chunk-map.ts';
import { hashFile, readRange } from './file-range.ts';
import { packedFile, placeFile, wholePath } from './packed-folder.ts';
import { failureCode } from './store-failure.ts';
import type { StoreIndex } from './store-index.ts';
import type { StoreFolders } from './store-folders.ts';
import { fileId } from './store-space.ts';
import { readChunkList } from './version-files.ts';

/** What re-reading a complete version found. */
export interface VerifiedVersion {
  readonly cid: VersionCid;
  /** Bytes of its files that were hashed. */
  readonly bytes: number;
  /** What is wrong, one sentence each; empty when nothing is. */
  readonly faults: readonly string[];
  /** True when the index said something else before. */
  readonly repaired: boolean;
}

export interface VerifyInit {
  readonly index: StoreIndex;
  readonly folders: Pick<StoreFolders, 'versions' | 'packed'>;
}

/**
 * Hashes every byte of a complete version and puts the index right: a damaged version is noted as such, so that it is fetched
 * again as far as needed; a whole one is not any more, and its chunks are found again.
 */
export async function verifyVersion(
  { index, folders }: VerifyInit,
  cid: VersionCid,
  signal?: AbortSignal,
): Promise<VerifiedVersion> {
  const before = await index.version(cid);
  const manifest = await index.manifest(cid);
  if (manifest === undefined) {
    await index.markDamaged(cid);
    const faults = ['its manifest is missing from the index, or damaged there'];
    return { cid, bytes: 0, faults, repaired: before?.damaged !== true };
  }
  const faults: string[] = [];
  const lists: ChunkList[] = [];
  let bytes = 0;
  for (const file of manifest.files) {
    const list = await readChunkList(index, file);
    if (list === undefined) faults.push(`the chunk list of '${file.path}' is missing or damaged`);
    else lists.push(list);
    const fault =
      before?.packed === undefined
        ? await checkFile(path.join(folders.versions, cid, file.path), file, signal)
        : await checkPacked({ index, folders }, { cid, packed: before.packed, file, list }, signal);
    if (fault !== undefined) faults.push(`file '${file.path}' ${fault}`);
    bytes += file.size;
  }
  // It was packed or unpacked meanwhile: what was looked at is not what is there.
  if ((await index.version(cid))?.packed !== before?.packed) {
    return verifyVersion({ index, folders }, cid, signal);
  }
  if (faults.length > 0) {
    await index.markDamaged(cid);
    return { cid, bytes, faults, repaired: before?.damaged !== true };
  }
  const { files: places } = new ChunkMap(lists);
  const repaired = before?.damaged === true || !(await index.hasAllPlaces(cid, places));
  if (repaired && before?.packed !== undefined) await index.markWhole(cid);
  else if (repaired) await index.putVersion({ cid, manifest, blocks: new Map(), places });
  return { cid, bytes, faults, repaired };
}

interface PackedSubject {
  readonly cid: VersionCid;
  readonly packed: number;
  readonly file: ManifestFile;
  readonly list: ChunkList | undefined;
}

/** What is wrong with a file of a packed version, chunk by chunk in the order of the file. */
async function checkPacked(
  { index, folders }: VerifyInit,
  { cid, packed, file, list }: PackedSubject,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const whole = packedFile(folders.packed, { cid, packed, path: wholePath(file.path) });
  if ((await fileId(whole)) !== undefined) return checkFile(whole, file, signal);
  const hash = createHash('sha256');
  for (const { digest, size } of list ?? []) {
    signal?.throwIfAborted();
    const key = digestText(digest);
    const place = (await index.places(key)).find((one) => one.cid === cid);
    const bytes = place && (await readRange(placeFile(folders, place), place.offset, size));
    if (bytes === undefined) return `is packed and lacks chunk ${key}`;
    if (!sameBytes(sha256(bytes), digest)) return `is packed and has chunk ${key} damaged`;
    hash.update(bytes);
  }
  const digest = new Uint8Array(hash.digest());
  if (sameBytes(digest, file.sha256)) return undefined;
  return `hashes to ${digestText(digest)}, expected ${digestText(file.sha256)}`;
}

/** What is wrong with a file, as the end of a sentence that begins with its name. */
async function checkFile(
  file: string,
  { size, sha256 }: ManifestFile,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  try {
    const handle = await open(file, 'r');
    try {
      const found = await handle.stat();
      if (found.size !== size) return `has ${found.size} bytes, expected ${size}`;
      const digest = await hashFile(handle, () => signal?.throwIfAborted());
      if (sameBytes(digest, sha256)) return undefined;
      return `hashes to ${digestText(digest)}, expected ${digestText(sha256)}`;
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (failureCode(error) === 'ENOENT') return 'is missing';
    throw error;
  }
}
