import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { digestOfCid, digestText, sameBytes, sha256 } from '../../protocols/digest.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { writeDurably } from '../../src/swarm/durable-file.ts';
import { plainBytes } from './file-range.ts';
import { failureCode } from './store-failure.ts';

/**
 * What is on disk of a version that is not whole yet.
 *
 *     partial/<cid>/manifest         the manifest's block
 *     partial/<cid>/lists/<sha256>   blocks of chunk lists
 *     partial/<cid>/files/<path>     the files, with holes; becomes versions/<cid> in one rename
 */
export class PartialFolder {
  readonly root: string;
  readonly files: string;
  readonly #cid: VersionCid;

  constructor(partialRoot: string, cid: VersionCid) {
    this.root = path.join(partialRoot, cid);
    this.files = path.join(this.root, 'files');
    this.#cid = cid;
  }

  /** Makes the folders; what is there stays. */
  async create(manifest: Uint8Array): Promise<void> {
    await mkdir(path.join(this.root, 'lists'), { recursive: true });
    if ((await this.manifest()) === undefined) await writeDurably(this.#manifestFile, manifest);
  }

  /** The manifest, when it is there and undamaged. */
  manifest(): Promise<Uint8Array | undefined> {
    return readBlock(this.#manifestFile, digestText(digestOfCid(this.#cid)));
  }

  /** A chunk list by its digest in hexadecimal, when it is there and undamaged. */
  list(key: string): Promise<Uint8Array | undefined> {
    return readBlock(this.#listFile(key), key);
  }

  putList(key: string, bytes: Uint8Array): Promise<void> {
    return writeDurably(this.#listFile(key), bytes);
  }

  remove(): Promise<void> {
    return rm(this.root, { recursive: true, force: true });
  }

  get #manifestFile(): string {
    return path.join(this.root, 'manifest');
  }

  #listFile(key: string): string {
    return path.join(this.root, 'lists', key);
  }
}

/** A small file's bytes; undefined when it is missing or its digest is not `key`: then it is fetched again. */
async function readBlock(file: string, key: string): Promise<Uint8Array | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = plainBytes(await readFile(file));
  } catch (error) {
    if (failureCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  return sameBytes(sha256(bytes), Buffer.from(key, 'hex')) ? bytes : undefined;
}
