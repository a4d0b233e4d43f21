import { digestOfCid, digestText } from '../../protocols/digest.ts';
import {
  CorruptError,
  InvalidRecordError,
  isSwarmError,
  LimitError,
} from '../../protocols/errors.ts';
import { MAX_CHUNK_LIST_BYTES, MAX_MANIFEST_BYTES } from '../../protocols/limits.ts';
import {
  type ChunkList,
  chunkListBytes,
  decodeChunkList,
  decodeManifest,
  type Manifest,
  manifestBytes,
} from '../../protocols/manifest/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { FetchPeers, type FetchPeersInit } from './fetch-peers.ts';
import type { BlockTask } from './fetch-queue.ts';
import type { ChunkPlace, VersionSink, VersionTarget } from './version-sink.ts';

/**
 * Bytes of all chunk lists of one version: 300 000 chunks, which is 300 GB at the usual size. Lists of single bytes would
 * otherwise outgrow the files they describe, and memory with them.
 */
const MAX_CHUNK_LISTS_BYTES = 16 * 1024 * 1024;

/** Times that chunks found damaged when all was there are fetched again. */
const MAX_REPAIRS = 3;

export interface FetchVersionOptions extends FetchPeersInit {
  readonly cid: VersionCid;
  /** Where the version goes; it may hold a part of it already. */
  readonly store: VersionTarget;
  /** Looks at the manifest before anything else is fetched or any room made; what it throws ends the fetch. @default takes any */
  readonly accept?: ((manifest: Manifest) => Promise<void> | void) | undefined;
  /** Hears of bytes in place, of the total once that is known. */
  readonly onProgress?: ((bytes: number, totalBytes: number | null) => void) | undefined;
}

export interface FetchedVersion {
  readonly manifest: Manifest;
  /** Peers that were dropped on the way, and why. */
  readonly dropped: ReadonlyMap<string, unknown>;
}

/**
 * Brings a version into a store: its manifest, the chunk lists, then the chunks from several peers at once. Every block is
 * checked against its digest before the store sees it, and every file against its own at the end. What was fetched stays in
 * the store when the fetch fails or is aborted, and is not fetched again.
 *
 * @throws {ERR_NOT_FOUND} when no peer has it; {ERR_CONNECTION} when no peer is left; `details.failures` says why.
 * @throws {ERR_INVALID_RECORD} when the manifest or a chunk list is malformed or contradicts itself.
 * @throws {ERR_LIMIT} when the chunk lists are larger together than {@link MAX_CHUNK_LISTS_BYTES}.
 * @throws {ERR_STORE} when there is no room or the disk fails; the signal's reason when it aborts; what `accept` throws.
 */
export async function fetchVersion(options: FetchVersionOptions): Promise<FetchedVersion> {
  const { cid, store, accept, signal, onProgress } = options;
  const peers = new FetchPeers({ version: digestOfCid(cid), ...options });
  try {
    onProgress?.(0, null);
    const bytes = (await store.partialManifest(cid)) ?? (await fetchManifest(peers, cid));
    const manifest = decodeManifest(bytes, cid);
    await accept?.(manifest);
    const sink = await store.begin(cid, bytes);
    // The store may be hashing gigabytes, which no signal reaches.
    const onAbort = (): void => void sink.close();
    signal?.addEventListener('abort', onAbort);
    try {
      signal?.throwIfAborted();
      const lists = await fetchChunkLists(peers, manifest, sink);
      await fetchFiles(peers, { manifest, lists, sink, onProgress });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      await sink.close();
    }
    return { manifest, dropped: peers.dropped };
  } finally {
    await peers.close();
  }
}

async function fetchManifest(peers: FetchPeers, cid: VersionCid): Promise<Uint8Array> {
  let manifest = new Uint8Array();
  await peers.fetchAll([
    {
      digest: digestOfCid(cid),
      maxBytes: MAX_MANIFEST_BYTES,
      async accept(bytes) {
        manifest = new Uint8Array(bytes);
      },
    },
  ]);
  return manifest;
}

/** The chunk lists of all files, in the order of the files. */
async function fetchChunkLists(
  peers: FetchPeers,
  manifest: Manifest,
  sink: VersionSink,
): Promise<ChunkList[]> {
  const tasks = new Map<string, BlockTask>();
  let totalBytes = 0;
  const count = (bytes: Uint8Array): void => {
    totalBytes += bytes.byteLength;
    if (totalBytes <= MAX_CHUNK_LISTS_BYTES) return;
    throw new LimitError(
      `chunk lists of the version have more than ${MAX_CHUNK_LISTS_BYTES} bytes together`,
    );
  };
  const seen = new Set<string>();
  for (const { chunks } of manifest.files) {
    if (seen.has(chunks)) continue;
    seen.add(chunks);
    const known = await sink.chunkList(chunks);
    if (known !== undefined) {
      count(known);
      continue;
    }
    tasks.set(chunks, {
      digest: digestOfCid(chunks),
      maxBytes: MAX_CHUNK_LIST_BYTES,
      accept(bytes) {
        count(bytes);
        return sink.putChunkList(chunks, bytes);
      },
    });
  }
  await peers.fetchAll(tasks.values());
  return Promise.all(
    manifest.files.map(async ({ path, size, chunks }) => {
      const bytes = await sink.chunkList(chunks);
      if (bytes === undefined) throw new CorruptError(`chunk list ${chunks} left the store again`);
      const list = decodeChunkList(bytes, chunks);
      if (chunkListBytes(list) === size) return list;
      throw new InvalidRecordError(
        `chunks of file '${path}' add up to ${chunkListBytes(list)} bytes, expected ${size}`,
      );
    }),
  );
}

interface FetchFilesOptions {
  readonly manifest: Manifest;
  readonly lists: readonly ChunkList[];
  readonly sink: VersionSink;
  readonly onProgress: FetchVersionOptions['onProgress'];
}

async function fetchFiles(peers: FetchPeers, options: FetchFilesOptions): Promise<void> {
  const { manifest, lists, sink, onProgress } = options;
  const totalBytes = manifestBytes(manifest);
  for (let repairs = 0; ; repairs += 1) {
    const missing = await sink.missing(lists);
    let bytesInPlace = totalBytes - missing.reduce((total, { size }) => total + size, 0);
    onProgress?.(bytesInPlace, totalBytes);
    const write = async (place: ChunkPlace, bytes: Uint8Array): Promise<void> => {
      await sink.write(place, bytes);
      bytesInPlace += place.size;
      onProgress?.(bytesInPlace, totalBytes);
    };
    await peers.fetchAll(chunkTasks(missing, { lists, sink, write }));
    try {
      return await sink.finish();
    } catch (error) {
      // The store has forgotten the chunks that a crash or a failing disk damaged: they are missing now.
      const repairable = isSwarmError(error) && error.code === 'ERR_CORRUPT';
      if (!repairable || repairs >= MAX_REPAIRS) throw error;
    }
  }
}

interface ChunkTasksOptions extends Pick<FetchFilesOptions, 'lists' | 'sink'> {
  readonly write: (place: ChunkPlace, bytes: Uint8Array) => Promise<void>;
}

/** One task per digest: a chunk that stands in several places is moved once. */
function chunkTasks(
  places: readonly ChunkPlace[],
  { lists, sink, write }: ChunkTasksOptions,
): Iterable<BlockTask> {
  const firstOf: number[] = [];
  let chunks = 0;
  for (const { length } of lists) {
    firstOf.push(chunks);
    chunks += length;
  }
  const byDigest = new Map<string, ChunkPlace[]>();
  for (const place of places) {
    const key = digestText(place.digest);
    const known = byDigest.get(key);
    if (known === undefined) byDigest.set(key, [place]);
    else known.push(place);
  }
  return [...byDigest.values()].map((same) => ({
    digest: same[0]?.digest ?? new Uint8Array(),
    maxBytes: same.reduce((largest, { size }) => Math.max(largest, size), 0),
    chunk: same[0] && (firstOf[same[0].file] ?? 0) + same[0].index,
    onAsked(asked: boolean) {
      for (const place of same) sink.expect(place, asked);
    },
    async accept(bytes: Uint8Array) {
      for (const place of same) {
        if (bytes.byteLength !== place.size) {
          throw new InvalidRecordError(
            `chunk ${digestText(place.digest)} has ${bytes.byteLength} bytes, but its chunk list says ${place.size}`,
          );
        }
        await write(place, bytes);
      }
    },
  }));
}
