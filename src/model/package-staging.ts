import { constants, createReadStream, createWriteStream } from 'node:fs';
import { copyFile, link, open, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { InvalidInputError, InvalidModelError, StoreError } from '../../protocols/errors.ts';
import { fileNameFault, fileNameKey, MAX_FILES } from '../../protocols/manifest/index.ts';
import { quoted } from '../../protocols/quoted.ts';
import type { AbortOptions } from '../../protocols/types.ts';
import { ensureFolder } from './ensured-folder.ts';
import { FORMAT_HEAD_BYTES, foreignFormat } from './foreign-format.ts';
import { measureFile } from './package-folder.ts';

/** Bytes of one step of a copy: 64 KiB, the default, takes twice the time. */
const COPY_BYTES = 1024 * 1024;

/** Git LFS's own bound of a pointer; only files under it are looked into. */
const MAX_POINTER_BYTES = 1024;

export interface StagingOptions extends AbortOptions {
  /**
   * Whether a file may be a second name of its source, for a folder that is gone before anyone writes to the source. What
   * stays must not change with it.
   *
   * @default false
   */
  readonly link?: boolean | undefined;
}

/** A package folder in the making: plain names, each once, regular files only. */
export class PackageStaging {
  readonly folder: string;
  readonly #options: StagingOptions;
  readonly #names = new Map<string, string>();
  /** Where each file that was added came from. */
  readonly #sources = new Map<string, string>();

  private constructor(folder: string, options: StagingOptions) {
    this.folder = folder;
    this.#options = options;
  }

  /**
   * Makes the folder, or takes an empty one.
   *
   * @throws {ERR_INVALID_INPUT} when something is in it. {ERR_STORE} when it cannot be made.
   */
  static async create(folder: string, options: StagingOptions = {}): Promise<PackageStaging> {
    await ensureFolder(folder);
    try {
      const found = await readdir(folder);
      if (found.length === 0) return new PackageStaging(folder, options);
      throw new InvalidInputError(
        `folder '${folder}' has ${found.length} entries, expected a new or an empty one`,
      );
    } catch (cause) {
      if (cause instanceof InvalidInputError) throw cause;
      throw new StoreError(`folder '${folder}' cannot be read: ${systemCode(cause)}`, { cause });
    }
  }

  get names(): readonly string[] {
    return [...this.#names.values()];
  }

  /** The path a file of the package was taken from; undefined for one that was written here. */
  sourceOf(name: string): string | undefined {
    return this.#sources.get(name);
  }

  has(name: string): boolean {
    return this.#names.has(fileNameKey(name));
  }

  /**
   * Puts a file into the package, byte for byte: a clone where the file system can, else a second name where that is
   * allowed, else a copy.
   *
   * @param source a regular file: the caller has looked at links
   * @throws {ERR_INVALID_MODEL} that names the file: its name, a second of that name, a Git LFS pointer.
   * @throws {ERR_STORE} when the disk refuses.
   */
  async add(name: string, source: string): Promise<void> {
    const target = this.claim(name);
    this.#sources.set(name, source);
    await refuseLfsPointer(name, source);
    this.#options.signal?.throwIfAborted();
    try {
      await this.#place(source, target);
    } catch (cause) {
      this.#options.signal?.throwIfAborted();
      throw new StoreError(`file ${quoted(name)} cannot be copied: ${systemCode(cause)}`, {
        cause,
      });
    }
  }

  /** Puts a file of these bytes into the package. */
  async write(name: string, bytes: Uint8Array): Promise<void> {
    const target = this.claim(name);
    try {
      await writeFile(target, bytes, { flag: 'wx' });
    } catch (cause) {
      throw new StoreError(`file ${quoted(name)} cannot be written: ${systemCode(cause)}`, {
        cause,
      });
    }
  }

  /** Removes the folder and what was put into it. */
  async discard(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  /**
   * Where a file of this name is to be written, for a caller that does it.
   *
   * @throws {ERR_INVALID_MODEL} when not every system can store the name, or it is taken.
   */
  claim(name: string): string {
    const fault = fileNameFault(name);
    if (fault !== undefined) throw refused(name, `has a name that ${fault}`);
    const twin = this.#names.get(fileNameKey(name));
    if (twin !== undefined) throw refused(name, `is one with ${quoted(twin)} on some systems`);
    if (this.#names.size >= MAX_FILES) {
      throw new InvalidModelError(`package has more than ${MAX_FILES} files`);
    }
    this.#names.set(fileNameKey(name), name);
    return path.join(this.folder, name);
  }

  async #place(source: string, target: string): Promise<void> {
    try {
      await copyFile(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
      return;
    } catch {
      // Few file systems clone; what is really wrong with the file, the next way says.
      await rm(target, { force: true });
    }
    if (this.#options.link === true) {
      try {
        await link(source, target);
        return;
      } catch {
        // Another disk, or a file system without links.
      }
    }
    const { signal } = this.#options;
    await pipeline(
      createReadStream(source, { highWaterMark: COPY_BYTES }),
      createWriteStream(target, { flags: 'wx' }),
      signal === undefined ? {} : { signal },
    );
  }
}

/**
 * Checks that a regular file lies there, not a link to one.
 *
 * @returns its bytes
 * @throws {ERR_INVALID_MODEL} that names it
 */
export async function mustBeFile(folder: string, name: string): Promise<number> {
  const size = await measureFile(folder, name);
  if (size === undefined) throw refused(name, 'vanished meanwhile');
  return size;
}

async function refuseLfsPointer(name: string, source: string): Promise<void> {
  let head: Buffer;
  try {
    const file = await open(source, 'r');
    try {
      const { size } = await file.stat();
      if (size > MAX_POINTER_BYTES) return;
      const buffer = Buffer.alloc(FORMAT_HEAD_BYTES);
      const { bytesRead } = await file.read(buffer, 0, FORMAT_HEAD_BYTES, 0);
      head = buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw new StoreError(`file ${quoted(name)} cannot be read: ${systemCode(cause)}`, { cause });
  }
  const format = head.length === 0 ? undefined : foreignFormat(head);
  if (format?.includes('Git LFS') === true) throw refused(name, `is ${format}`);
}

function refused(name: string, fault: string): InvalidModelError {
  return new InvalidModelError(`package file ${quoted(name)} ${fault}`, {
    details: { file: name },
  });
}

function systemCode(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
}
