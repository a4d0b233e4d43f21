import type { AbortOptions } from '../types.ts';
import type { Holdings } from './holdings.ts';

/** Where blocks come from: a node's store, or a publisher's own files. */
export interface BlockSource {
  /**
   * The bytes with this sha256 digest, checked against it; undefined when they are not here.
   *
   * @throws {ERR_CORRUPT} when what is stored does not match the digest any more.
   */
  read(digest: Uint8Array, options?: AbortOptions): Promise<Uint8Array | undefined>;
  /**
   * What is here of the version whose manifest has this digest; undefined when nothing is. A source without this method has
   * a version whole when it has its manifest.
   */
  holdings?(version: Uint8Array, options?: AbortOptions): Promise<Holdings | undefined>;
}
