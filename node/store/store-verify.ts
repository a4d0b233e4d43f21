import { open } from 'node:fs/promises';
import path from 'node:path';
import { digestOfCid, digestText, sameBytes } from '../../protocols/digest.ts';
import {
  type ChunkList,
  decodeChunkList,
  type ManifestFile,
} from '../../protocols/manifest/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { ChunkMap } from './chunk-map.ts';
import { hashFile } from './file-range.ts';
import { failureCode } from './store-failure.ts';
import type { StoreIndex } from './store-index.ts';

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
  /** The folder of complete versions. */
  readonly versionsFolder: string;
}

/**
 * Hashes every byte of a complete version and puts the index right: a damaged version is noted as such, so that it is fetched
 * again as far as needed; a whole one is not any more, and its chunks are found again.
 */
export async function verifyVersion(
  { index, versionsFolder }: VerifyInit,
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
    const list = await readList(index, file);
    if (list === undefined) faults.push(`the chunk list of '${file.path}' is missing or damaged`);
    else lists.push(list);
    const fault = await checkFile(path.join(versionsFolder, cid, file.path), file, signal);
    if (fault !== undefined) faults.push(`file '${file.path}' ${fault}`);
    bytes += file.size;
  }
  if (faults.length > 0) {
    await index.markDamaged(cid);
    return { cid, bytes, faults, repaired: before?.damaged !== true };
  }
  const { files: places } = new ChunkMap(lists);
  const repaired = before?.damaged === true || !(await index.hasAllPlaces(cid, places));
  if (repaired) await index.putVersion({ cid, manifest, blocks: new Map(), places });
  return { cid, bytes, faults, repaired };
}

async function readList(
  index: StoreIndex,
  { chunks }: ManifestFile,
): Promise<ChunkList | undefined> {
  const bytes = await index.block(digestText(digestOfCid(chunks)));
  try {
    return bytes === undefined ? undefined : decodeChunkList(bytes, chunks);
  } catch {
    // Damaged is as good as missing: it is fetched again.
    return undefined;
  }
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
