import { createHash, type Hash } from 'node:crypto';
import type { Chunk, ChunkList } from '../../protocols/manifest/index.ts';
import type { AbortOptions } from '../../protocols/types.ts';
import type { ByteSource } from './byte-source.ts';
import { BoundaryFinder } from './chunk-boundary.ts';

/** Bytes of one read, two of which are in memory at a time; also the longest stretch other work on this thread waits for. */
const WINDOW_BYTES = 1024 * 1024;

/** A file cut into chunks. */
export interface ChunkedFile {
  readonly size: number;
  /** sha256 of the whole file. */
  readonly sha256: Uint8Array;
  readonly chunks: ChunkList;
}

export interface ChunkOptions extends AbortOptions {
  /** Told the number of further bytes that were read and hashed. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/**
 * Cuts a file into content-defined chunks and hashes each and the whole, in one pass and a few MiB of memory.
 *
 * @throws {ERR_INVALID_MODEL} when the file becomes shorter meanwhile.
 */
export async function chunkFile(
  source: ByteSource,
  options: ChunkOptions = {},
): Promise<ChunkedFile> {
  const chunker = new Chunker();
  let reading = readWindow(source, 0);
  for (let offset = 0; offset < source.size; ) {
    options.signal?.throwIfAborted();
    const bytes = await reading;
    offset += bytes.byteLength;
    // The disk works on the next window while this thread hashes the one that is here.
    reading = readWindow(source, offset);
    chunker.take(bytes);
    options.onBytes?.(bytes.byteLength);
  }
  return { size: source.size, ...chunker.finish() };
}

async function readWindow(source: ByteSource, offset: number): Promise<Uint8Array> {
  const read = source.read(offset, Math.min(WINDOW_BYTES, source.size - offset));
  // When the pass is given up nobody waits for the read any more; its failure is then of no interest.
  read.catch(() => undefined);
  return read;
}

class Chunker {
  readonly #boundary = new BoundaryFinder();
  readonly #whole = createHash('sha256');
  readonly #chunks: Chunk[] = [];
  #chunk: Hash = createHash('sha256');
  #chunkBytes = 0;

  take(bytes: Uint8Array): void {
    this.#whole.update(bytes);
    let start = 0;
    while (start < bytes.byteLength) {
      const end = this.#boundary.next(bytes, start);
      const part = bytes.subarray(start, end);
      this.#chunk.update(part);
      this.#chunkBytes += part.byteLength;
      start += part.byteLength;
      if (end !== undefined) this.#endChunk();
    }
  }

  finish(): { sha256: Uint8Array; chunks: ChunkList } {
    if (this.#chunkBytes > 0) this.#endChunk();
    return { sha256: new Uint8Array(this.#whole.digest()), chunks: this.#chunks };
  }

  #endChunk(): void {
    this.#chunks.push({ digest: new Uint8Array(this.#chunk.digest()), size: this.#chunkBytes });
    this.#chunk = createHash('sha256');
    this.#chunkBytes = 0;
  }
}
