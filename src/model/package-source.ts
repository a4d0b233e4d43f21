import path from 'node:path';
import { digestText, sameBytes, sha256 } from '../../protocols/digest.ts';
import { CorruptError, isSwarmError, StoreError } from '../../protocols/errors.ts';
import { quoted } from '../../protocols/quoted.ts';
import type { BlockSource } from '../../protocols/transfer/index.ts';
import type { AbortOptions } from '../../protocols/types.ts';
import { type FileSource, openFileSource } from './byte-source.ts';

/** Files kept open at most: some systems allow a process 256. Those beyond are opened for each read. */
const MAX_OPEN_FILES = 64;

/** Bytes of a file that are a block. */
export interface FilePart {
  /** Name in the package's folder. */
  readonly file: string;
  readonly offset: number;
  readonly size: number;
}

/** The files of one package, opened when they are needed and closed together. */
export class PackageFiles implements AsyncDisposable {
  readonly #folder: string;
  /** At most {@link MAX_OPEN_FILES} once each file was let go of. */
  readonly #open = new Map<string, FileSource>();
  #closed = false;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Opens a file, or gives the one that is open; it stays open until it is let go of. */
  async open(name: string): Promise<FileSource> {
    const held = this.#open.get(name);
    if (held !== undefined) return held;
    const file = await openFileSource(path.join(this.#folder, name));
    this.#open.set(name, file);
    return file;
  }

  /** Says that a file is needed for single reads only from now on. */
  async letGo(name: string): Promise<void> {
    if (this.#open.size <= MAX_OPEN_FILES) return;
    const file = this.#open.get(name);
    this.#open.delete(name);
    await file?.close();
  }

  async read({ file, offset, size }: FilePart): Promise<Uint8Array> {
    if (this.#closed) throw new StoreError(`file ${quoted(file)} was closed with its package`);
    const held = this.#open.get(file);
    if (held !== undefined) return held.read(offset, size);
    await using opened = await openFileSource(path.join(this.#folder, file));
    return await opened.read(offset, size);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const files = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(files.map((file) => file.close()));
  }
}

/** Serves a version's blocks from the publisher's own files, hashing each again: nobody guards the files meanwhile. */
export class PackageSource implements BlockSource {
  readonly #files: PackageFiles;
  /** By digest, in hexadecimal. */
  readonly #blocks = new Map<string, Uint8Array | FilePart>();

  constructor(files: PackageFiles) {
    this.#files = files;
  }

  /** Of blocks that are equal the first one serves for all. */
  add(digest: Uint8Array, block: Uint8Array | FilePart): void {
    const key = digestText(digest);
    if (!this.#blocks.has(key)) this.#blocks.set(key, block);
  }

  async read(digest: Uint8Array, options: AbortOptions = {}): Promise<Uint8Array | undefined> {
    options.signal?.throwIfAborted();
    const block = this.#blocks.get(digestText(digest));
    if (block === undefined || block instanceof Uint8Array) return block;
    const bytes = await this.#readPart(block);
    if (sameBytes(sha256(bytes), digest)) return bytes;
    throw changed(block);
  }

  async #readPart(part: FilePart): Promise<Uint8Array> {
    try {
      return await this.#files.read(part);
    } catch (error) {
      // Shorter, gone, or no regular file any more; what the system refuses for other reasons stays ERR_STORE.
      const code = isSwarmError(error) ? error.code : undefined;
      if (code === 'ERR_INVALID_MODEL' || code === 'ERR_NOT_FOUND') throw changed(part, error);
      throw error;
    }
  }
}

function changed(part: FilePart, cause?: unknown): CorruptError {
  const { file, offset, size } = part;
  return new CorruptError(
    `file ${quoted(file)} changed since it was packed: bytes ${offset} to ${offset + size} are not what the manifest lists`,
    { cause, details: { ...part } },
  );
}
