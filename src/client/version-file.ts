import { digestOfCid, sameBytes, sha256 } from '../../protocols/digest.ts';
import {
  InvalidInputError,
  InvalidRecordError,
  LimitError,
  NotFoundError,
} from '../../protocols/errors.ts';
import { MAX_CHUNK_LIST_BYTES } from '../../protocols/limits.ts';
import {
  chunkListBytes,
  decodeChunkList,
  type Manifest,
  type ManifestFile,
} from '../../protocols/manifest/index.ts';
import { quoted } from '../../protocols/quoted.ts';
import type { TransferConnection } from '../../protocols/transfer/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { askHolders } from '../swarm/ask-holders.ts';
import type { SwarmPeer } from '../swarm/peer.ts';
import { describeOptionsFault } from './known-fields.ts';
import { checkAbortOptions } from './open-calls.ts';

/** Bytes of a file that is read into memory, where the caller sets no bound. */
const DEFAULT_MAX_FILE_BYTES = 64 * 1024 * 1024;

export interface ReadFileOptions {
  readonly signal?: AbortSignal | undefined;
  /** Bytes of the file at most. @default 67108864 */
  readonly maxBytes?: number | undefined;
}

/** @throws {ERR_INVALID_INPUT} for an option that there is none of. */
export function checkReadFileOptions(options: ReadFileOptions): void {
  const fault = describeOptionsFault<ReadFileOptions>(options, { signal: true, maxBytes: true });
  if (fault !== undefined) throw new InvalidInputError(`options: ${fault}`);
  checkAbortOptions({ signal: options.signal });
}

/**
 * One file of a version, without the others: a tokenizer, a card, labels. Each chunk and the whole are checked against their hashes.
 *
 * @throws {ERR_NOT_FOUND} when the version has no such file. {ERR_LIMIT} when it is larger than `maxBytes`.
 * @throws {ERR_NO_NODE} when no known holder could give it. {ERR_INVALID_RECORD} when the manifest contradicts itself.
 */
export async function readVersionFile(
  peer: SwarmPeer,
  { cid, manifest }: { readonly cid: VersionCid; readonly manifest: Manifest },
  path: string,
  { signal, maxBytes = DEFAULT_MAX_FILE_BYTES }: ReadFileOptions & { readonly signal: AbortSignal },
): Promise<Uint8Array<ArrayBuffer>> {
  const file = manifest.files.find((candidate) => candidate.path === path);
  if (file === undefined) throw new NotFoundError(`version ${cid} has no file ${quoted(path)}`);
  if (file.size > maxBytes) {
    throw new LimitError(
      `file ${quoted(path)} of version ${cid} has ${file.size} bytes, expected at most ${maxBytes}`,
    );
  }
  const fetchFile = (holder: TransferConnection) => fetchChunks(holder, file, signal);
  const bytes = await askHolders(peer, cid, `its file ${quoted(path)}`, fetchFile, { signal });
  if (!sameBytes(sha256(bytes), file.sha256)) {
    throw new InvalidRecordError(
      `file ${quoted(path)} of version ${cid} is not what its manifest says`,
    );
  }
  return bytes;
}

async function fetchChunks(
  holder: TransferConnection,
  { path, size, chunks }: ManifestFile,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const block = await holder.fetch(digestOfCid(chunks), MAX_CHUNK_LIST_BYTES, { signal });
  const list = decodeChunkList(block, chunks);
  // Before a byte is allocated: the list is as little believed as whoever sent it.
  if (chunkListBytes(list) !== size) {
    throw new InvalidRecordError(
      `chunks of file ${quoted(path)} have ${chunkListBytes(list)} bytes, expected ${size}`,
    );
  }
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of list) {
    bytes.set(await holder.fetch(chunk.digest, chunk.size, { signal }), offset);
    offset += chunk.size;
  }
  return bytes;
}
