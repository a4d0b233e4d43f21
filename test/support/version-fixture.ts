import { digestOfCid, digestText, sha256 } from '../../protocols/digest.ts';
import {
  type ChunkList,
  encodeChunkList,
  encodeManifest,
  type Manifest,
  type ManifestFile,
} from '../../protocols/manifest/index.ts';
import type { BlockSource } from '../../protocols/transfer/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { present } from './present.ts';

/** A version in memory, as a publisher would have it. */
export interface VersionFixture {
  readonly cid: VersionCid;
  readonly manifest: Manifest;
  readonly manifestBytes: Uint8Array;
  /** In the order of the manifest's files. */
  readonly lists: readonly ChunkList[];
  /** Contents by path. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Every block by digest in hexadecimal. */
  readonly blocks: ReadonlyMap<string, Uint8Array>;
  readonly source: BlockSource;
}

export interface VersionFixtureInit {
  /** Contents by path; the first is the entry. */
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** Bytes of each chunk but the last. @default 1000 */
  readonly chunkBytes?: number;
  /** Changes the manifest before it is encoded, to lie for one. */
  readonly change?: (manifest: Manifest) => Manifest;
}

/** Packs files as `packModel` would, with chunks of one size. */
export function createVersionFixture(init: VersionFixtureInit): VersionFixture {
  const { chunkBytes = 1000, change = (manifest) => manifest } = init;
  const blocks = new Map<string, Uint8Array>();
  const put = (bytes: Uint8Array): void => {
    // The encoder gives a `Buffer` now and then, which equals no other bytes in a test.
    blocks.set(digestText(sha256(bytes)), new Uint8Array(bytes));
  };
  const listOf = new Map<string, ChunkList>();
  const files = Object.entries(init.files).map(([name, bytes]) => {
    const list = cut(bytes, chunkBytes).map((chunk) => {
      put(chunk);
      return { digest: sha256(chunk), size: chunk.byteLength };
    });
    const encoded = encodeChunkList(list);
    put(encoded.bytes);
    listOf.set(name, list);
    return { path: name, size: bytes.byteLength, sha256: sha256(bytes), chunks: encoded.cid };
  });
  const tensor = { name: 'x', datatype: 'FP32', shape: [1] } as const;
  const manifest = change({
    schema: 1,
    entry: files[0]?.path ?? '',
    files: files.toSorted((a, b) => (a.path < b.path ? -1 : 1)),
    inputs: [tensor],
    outputs: [{ ...tensor, name: 'y' }],
    deployment: {},
    metadata: {},
  });
  const encoded = encodeManifest(manifest);
  const { cid } = encoded;
  const manifestBytes = new Uint8Array(encoded.bytes);
  put(manifestBytes);
  return {
    cid,
    manifest,
    manifestBytes,
    lists: manifest.files.map((file) => listOf.get(file.path) ?? []),
    files: new Map(Object.entries(init.files)),
    blocks,
    source: { read: async (digest) => blocks.get(digestText(digest)) },
  };
}

/** The block of a version with this digest. */
export function blockOf({ blocks }: VersionFixture, digest: Uint8Array): Uint8Array {
  return present(blocks.get(digestText(digest)));
}

/** What the manifest says of a file. */
export function manifestFile({ manifest }: VersionFixture, name: string): ManifestFile {
  return present(manifest.files.find((file) => file.path === name));
}

/** The digest that a version's manifest is asked for by. */
export function manifestDigest({ cid }: VersionFixture): Uint8Array {
  return digestOfCid(cid);
}

function cut(bytes: Uint8Array, chunkBytes: number): Uint8Array[] {
  const count = Math.ceil(bytes.byteLength / chunkBytes);
  return Array.from({ length: count }, (_, index) =>
    bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes),
  );
}
