import * as dagCbor from '@ipld/dag-cbor';
import { z } from 'zod';
import {
  type BlockCid,
  cidOfDigest,
  DIGEST_BYTES,
  digestOfCid,
  sameBytes,
  sha256,
} from '../digest.ts';
import { InvalidRecordError, LimitError } from '../errors.ts';
import { MAX_CHUNK_BYTES, MAX_CHUNK_LIST_BYTES } from '../limits.ts';
import { describeSchemaIssue } from '../schema-issue.ts';

/** One piece of a file: the unit that is asked for, moved, verified and stored. */
export interface Chunk {
  /** sha256 of the bytes. */
  readonly digest: Uint8Array;
  /** Bytes, at least 1. */
  readonly size: number;
}

/** The chunks of one file in order; their sizes add up to the file's. An empty file has none. */
export type ChunkList = readonly Chunk[];

/** A chunk list as a block of its own, and the CID that the manifest names it by. */
export interface EncodedChunkList {
  readonly bytes: Uint8Array;
  readonly cid: BlockCid;
}

const chunkListSchema = z.array(
  z.object({
    digest: z
      .instanceof(Uint8Array)
      .refine((digest) => digest.byteLength === DIGEST_BYTES, { message: 'expected 32 bytes' }),
    size: z.int().min(1).max(MAX_CHUNK_BYTES),
  }),
);

/**
 * Encodes a chunk list as a dag-cbor block: a list of `{digest, size}`.
 *
 * @throws {ERR_INVALID_RECORD} when a chunk is out of bounds.
 * @throws {ERR_LIMIT} when the block would be larger than {@link MAX_CHUNK_LIST_BYTES}.
 */
export function encodeChunkList(chunks: ChunkList): EncodedChunkList {
  const bytes = new Uint8Array(dagCbor.encode(check(chunks)));
  checkSize(bytes);
  return { bytes, cid: cidOfDigest(sha256(bytes)).toString() as BlockCid };
}

/**
 * Decodes a chunk list, its hash first.
 *
 * @throws {ERR_LIMIT} when it is larger than {@link MAX_CHUNK_LIST_BYTES}.
 * @throws {ERR_INVALID_RECORD} when its hash is not the expected CID's or its form is wrong.
 */
export function decodeChunkList(bytes: Uint8Array, expectedCid: BlockCid): ChunkList {
  checkSize(bytes);
  if (!sameBytes(sha256(bytes), digestOfCid(expectedCid))) {
    throw new InvalidRecordError(
      `chunk list hashes to ${cidOfDigest(sha256(bytes)).toString()}, expected ${expectedCid}`,
    );
  }
  let value: unknown;
  try {
    value = dagCbor.decode(bytes);
  } catch (cause) {
    throw new InvalidRecordError('chunk list is not dag-cbor', { cause });
  }
  return check(value);
}

/** Bytes of the file that a chunk list makes up. */
export function chunkListBytes(chunks: ChunkList): number {
  return chunks.reduce((total, { size }) => total + size, 0);
}

function check(value: unknown): ChunkList {
  const parsed = chunkListSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new InvalidRecordError(`chunk list ${describeSchemaIssue(parsed.error)}`);
}

function checkSize(bytes: Uint8Array): void {
  if (bytes.byteLength > MAX_CHUNK_LIST_BYTES) {
    throw new LimitError(
      `chunk list has ${bytes.byteLength} bytes, expected at most ${MAX_CHUNK_LIST_BYTES}`,
    );
  }
}
