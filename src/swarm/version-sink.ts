import type { BlockCid } from '../../protocols/digest.ts';
import type { ChunkList } from '../../protocols/manifest/index.ts';
import type { VersionCid } from '../../protocols/types.ts';

/** Where one chunk belongs. */
export interface ChunkPlace {
  /** Index in the manifest's files. */
  readonly file: number;
  /** Index in the file's chunk list. */
  readonly index: number;
  readonly offset: number;
  readonly size: number;
  readonly digest: Uint8Array;
}

/** Something that versions can be fetched into, by and by and over restarts; the node's store. */
export interface VersionTarget {
  /** The manifest that an earlier attempt left. */
  partialManifest(cid: VersionCid): Promise<Uint8Array | undefined>;
  /**
   * Begins, or goes on with, a version. The caller checked the manifest against the CID.
   *
   * @throws {ERR_STORE} when there is no room for it, or it is being fetched already.
   */
  begin(cid: VersionCid, manifest: Uint8Array): Promise<VersionSink>;
}

/** A version on its way in. Its methods may be called at the same time as each other. */
export interface VersionSink {
  chunkList(cid: BlockCid): Promise<Uint8Array | undefined>;
  putChunkList(cid: BlockCid, bytes: Uint8Array): Promise<void>;
  /** The chunks that are not in place, those of earlier attempts checked against their digests. */
  missing(lists: readonly ChunkList[]): Promise<ChunkPlace[]>;
  /** Notes that a chunk is on its way, or no longer is: others who fetch the version choose another. */
  expect(place: ChunkPlace, coming: boolean): void;
  /** Puts a verified chunk in its place. */
  write(place: ChunkPlace, bytes: Uint8Array): Promise<void>;
  /**
   * Checks every file against its sha256 and makes the version complete, durably and in one step.
   *
   * @throws {ERR_CORRUPT} when chunks turn out damaged, which are then missing again.
   * @throws {ERR_INVALID_RECORD} when all chunks are right and a file still is not: the manifest lies.
   */
  finish(): Promise<void>;
  /** Lets go of open files; what is there stays for another attempt. What is under way ends soon, with ERR_STORE. */
  close(): Promise<void>;
}
