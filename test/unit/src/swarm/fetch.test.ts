import { streamPair } from '@libp2p/utils';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VersionStore } from '../../../../node/store/version-store.ts';
import {
  type BlockCid,
  cidOfDigest,
  digestOfCid,
  digestText,
  sha256,
} from '../../../../protocols/digest.ts';
import { LimitError, NotFoundError, StoreError } from '../../../../protocols/errors.ts';
import { type ChunkList, encodeChunkList } from '../../../../protocols/manifest/index.ts';
import {
  type BlockSource,
  handleTransfer,
  TransferConnection,
  WHOLE,
} from '../../../../protocols/transfer/index.ts';
import { type FetchVersionOptions, fetchVersion } from '../../../../src/swarm/fetch.ts';
import type { VersionTarget } from '../../../../src/swarm/version-sink.ts';
import { noise } from '../../../support/noise.ts';
import { present } from '../../../support/present.ts';
import { createTestFolder } from '../../../support/test-folder.ts';
import {
  blockOf,
  createVersionFixture,
  type VersionFixture,
} from '../../../support/version-fixture.ts';
import { beginVersion } from '../../../support/version-writer.ts';

const version = createVersionFixture({
  files: { 'model.onnx': noise(2_345, 1), 'weights.bin': noise(20_500, 2) },
});

/** Sources by the id of the peer that has them, and what each was asked for. */
class Swarm {
  readonly asked: string[] = [];
  readonly #sources: Readonly<Record<string, BlockSource>>;

  constructor(sources: Readonly<Record<string, BlockSource>>) {
    this.#sources = sources;
  }

  async connect(id: string): Promise<TransferConnection> {
    const source = this.#sources[id];
    if (source === undefined) throw new NotFoundError(`${id} is not there`);
    const [outbound, inbound] = await streamPair();
    void handleTransfer(inbound, {
      read: (digest, options) => {
        this.asked.push(`${id} ${digestText(digest)}`);
        return source.read(digest, options);
      },
      holdings: (digest) => source.holdings?.(digest) ?? Promise.resolve(WHOLE),
    });
    return new TransferConnection(outbound, { peer: id });
  }

  get peers(): string[] {
    return Object.keys(this.#sources);
  }
}

/** The blocks of a version with some replaced by what a peer says instead. */
function changed(fixture: VersionFixture, changes: ReadonlyMap<string, Uint8Array>): BlockSource {
  return {
    read: async (digest) =>
      changes.get(digestText(digest)) ?? fixture.blocks.get(digestText(digest)),
  };
}

/** A version whose manifest names other chunk lists than those of its files. */
function withList(list: ChunkList): VersionFixture {
  const encoded = encodeChunkList(list);
  const fixture = createVersionFixture({
    files: { 'model.onnx': noise(2_345, 1) },
    change: (manifest) => ({
      ...manifest,
      files: manifest.files.map((file) => ({ ...file, chunks: encoded.cid })),
    }),
  });
  const blocks = new Map(fixture.blocks).set(digestText(sha256(encoded.bytes)), encoded.bytes);
  return { ...fixture, blocks, source: { read: async (digest) => blocks.get(digestText(digest)) } };
}

describe('fetchVersion', () => {
  let folder: Awaited<ReturnType<typeof createTestFolder>>;
  let store: VersionStore;
  beforeEach(async () => {
    folder = await createTestFolder();
    store = await VersionStore.open(folder.path);
  });
  afterEach(async () => {
    await store.close();
    await folder[Symbol.asyncDispose]();
  });

  const fetch = (swarm: Swarm, options: Partial<FetchVersionOptions> = {}) =>
    fetchVersion({
      cid: version.cid,
      store,
      peers: swarm.peers,
      connect: (id) => swarm.connect(id),
      ...options,
    });

  it('brings a version over, each block once, and tells its progress to the last byte', async () => {
    const swarm = new Swarm({ a: version.source });
    const progress: [number, number | null][] = [];
    const { manifest, dropped } = await fetch(swarm, {
      onProgress: (bytes, totalBytes) => progress.push([bytes, totalBytes]),
    });
    expect(manifest).toEqual(version.manifest);
    expect(dropped.size).toBe(0);
    expect(await store.get(version.cid)).toMatchObject({ manifest });
    expect(swarm.asked).toHaveLength(version.blocks.size);
    expect(progress[0]).toEqual([0, null]);
    expect(progress.at(-1)).toEqual([22_845, 22_845]);
    expect(progress.slice(1).map(([bytes]) => bytes)).toEqual(
      progress
        .slice(1)
        .map(([bytes]) => bytes)
        .toSorted((a, b) => a - b),
    );
  });

  it('goes on where it was given up, asking nothing twice', async () => {
    const { digest } = present(present(version.lists[1])[10]);
    const controller = new AbortController();
    const halting: BlockSource = {
      read: async (asked) => {
        if (digestText(asked) !== digestText(digest)) return version.source.read(asked);
        controller.abort(new Error('given up'));
        return undefined;
      },
    };
    const first = new Swarm({ a: halting });
    await expect(fetch(first, { signal: controller.signal })).rejects.toThrow('given up');
    const second = new Swarm({ a: version.source });
    await fetch(second);
    expect(second.asked.length).toBeLessThan(version.blocks.size);
    expect(second.asked).toContain(`a ${digestText(digest)}`);
    expect(second.asked).not.toContain(`a ${digestText(digestOfCid(version.cid))}`);
    expect(await store.get(version.cid)).toBeDefined();
  });

  it('asks a chunk that stands in many places for once', async () => {
    const zeros = createVersionFixture({ files: { 'model.onnx': new Uint8Array(9_000) } });
    const swarm = new Swarm({ a: zeros.source });
    await fetch(swarm, { cid: zeros.cid });
    expect(swarm.asked).toHaveLength(3);
    expect(await store.get(zeros.cid)).toBeDefined();
  });

  it('drops a peer that lies about a chunk, names it, and takes the chunk elsewhere', async () => {
    const { digest } = present(present(version.lists[1])[3]);
    const key = digestText(digest);
    const lies = changed(version, new Map([[key, noise(1_000, 99)]]));
    const swarm: Swarm = new Swarm({
      liar: lies,
      // Gives the chunk only after the liar did.
      honest: {
        read: async (asked) =>
          digestText(asked) === key && !swarm.asked.includes(`liar ${key}`)
            ? undefined
            : version.source.read(asked),
      },
    });
    const { dropped } = await fetch(swarm);
    expect([...dropped.keys()]).toEqual(['liar']);
    expect(dropped.get('liar')).toMatchObject({ code: 'ERR_CORRUPT', details: { peer: 'liar' } });
    expect(await store.get(version.cid)).toBeDefined();
  });

  it('drops a peer that sends another manifest', async () => {
    const digest = digestOfCid(version.cid);
    const lies = changed(version, new Map([[digestText(digest), noise(300, 99)]]));
    await expect(fetch(new Swarm({ liar: lies }))).rejects.toMatchObject({
      code: 'ERR_CONNECTION',
      details: { failures: [expect.stringContaining('liar: block')] },
    });
    expect(await store.partialManifest(version.cid)).toBeUndefined();
  });

  it('asks for nothing but the manifest of a version that is not accepted, and makes no room for it', async () => {
    const swarm = new Swarm({ a: version.source });
    const seen: unknown[] = [];
    const accept = (manifest: unknown): never => {
      seen.push(manifest);
      throw new LimitError('too large for this host');
    };
    await expect(fetch(swarm, { accept })).rejects.toThrow('too large for this host');
    expect(seen).toEqual([version.manifest]);
    expect(swarm.asked).toEqual([`a ${digestText(digestOfCid(version.cid))}`]);
    expect(await store.partialManifest(version.cid)).toBeUndefined();
  });

  it('takes blocks from a node that is still fetching the version itself', async () => {
    await using other = await createTestFolder();
    const half = await VersionStore.open(other.path);
    const sink = await beginVersion(half, version);
    const missing = await sink.missing(version.lists);
    for (const place of missing.slice(0, 12))
      await sink.write(place, blockOf(version, place.digest));
    const rest: BlockSource = {
      read: async (digest) =>
        missing.slice(12).some((place) => digestText(place.digest) === digestText(digest))
          ? version.source.read(digest)
          : undefined,
    };
    const swarm = new Swarm({ half, rest });
    const { dropped } = await fetch(swarm);
    expect(dropped.size).toBe(0);
    expect(await store.get(version.cid)).toBeDefined();
    await sink.close();
    await half.close();
  });

  it('refuses with ERR_INVALID_RECORD chunk lists that do not add up to their file', async () => {
    const short = withList([{ digest: sha256(noise(10, 1)), size: 10 }]);
    await expect(fetch(new Swarm({ a: short.source }), { cid: short.cid })).rejects.toMatchObject({
      code: 'ERR_INVALID_RECORD',
      message: "chunks of file 'model.onnx' add up to 10 bytes, expected 2345",
    });
  });

  it('refuses with ERR_INVALID_RECORD a chunk that is shorter than its list says', async () => {
    const chunk = noise(10, 1);
    const lie = withList([{ digest: sha256(chunk), size: 2_345 }]);
    const source = changed(lie, new Map([[digestText(sha256(chunk)), chunk]]));
    await expect(fetch(new Swarm({ a: source }), { cid: lie.cid })).rejects.toMatchObject({
      code: 'ERR_INVALID_RECORD',
      message: expect.stringContaining('has 10 bytes, but its chunk list says 2345'),
    });
  });

  it('refuses with ERR_INVALID_RECORD a file whose hash its manifest lies about', async () => {
    const lie = createVersionFixture({
      files: { 'model.onnx': noise(2_345, 1) },
      change: (manifest) => ({
        ...manifest,
        files: manifest.files.map((file) => ({ ...file, sha256: new Uint8Array(32) })),
      }),
    });
    await expect(fetch(new Swarm({ a: lie.source }), { cid: lie.cid })).rejects.toMatchObject({
      code: 'ERR_INVALID_RECORD',
      message: expect.stringContaining("file 'model.onnx'"),
    });
  });

  it.each([
    ['ERR_INVALID_RECORD', 'chunk list is not dag-cbor', 8 * 2 ** 21],
    [
      'ERR_LIMIT',
      'chunk lists of the version have more than 16777216 bytes together',
      8 * 2 ** 21 + 1,
    ],
  ])('refuses with %s (%s) lists of %i bytes together', async (code, message, totalBytes) => {
    // They are measured before they are read: bytes without meaning will do.
    const lists = Array.from({ length: Math.ceil(totalBytes / 2 ** 21) }, (_, index) =>
      noise(Math.min(2 ** 21, totalBytes - index * 2 ** 21), index).fill(0xff, 0, 1),
    );
    const large = createVersionFixture({
      files: { 'model.onnx': noise(10, 1) },
      change: (manifest) => ({
        ...manifest,
        files: lists.map((bytes, index) => ({
          path: index === 0 ? 'model.onnx' : `${index}.bin`,
          size: 10,
          sha256: sha256(bytes),
          chunks: cidOfDigest(sha256(bytes)).toString() as BlockCid,
        })),
      }),
    });
    const known = new Map(lists.map((bytes) => [digestText(sha256(bytes)), bytes]));
    const swarm = new Swarm({ a: changed(large, known) });
    await expect(fetch(swarm, { cid: large.cid })).rejects.toMatchObject({ code, message });
  });

  it('ends soon when its signal aborts while the store checks what is there', async () => {
    const controller = new AbortController();
    const hashing: VersionTarget = {
      partialManifest: (cid) => store.partialManifest(cid),
      begin: async (cid, manifest) => {
        const sink = await store.begin(cid, manifest);
        const ended = Promise.withResolvers<never>();
        return {
          chunkList: (list) => sink.chunkList(list),
          putChunkList: (list, bytes) => sink.putChunkList(list, bytes),
          missing: () => {
            controller.abort(new Error('given up'));
            return ended.promise;
          },
          expect: (place, coming) => sink.expect(place, coming),
          write: (place, bytes) => sink.write(place, bytes),
          finish: () => sink.finish(),
          close: async () => {
            ended.reject(new StoreError('closed'));
            await sink.close();
          },
        };
      },
    };
    const swarm = new Swarm({ a: version.source });
    const { signal } = controller;
    await expect(fetch(swarm, { store: hashing, signal })).rejects.toThrow('given up');
  });

  it('fetches a chunk again that the store finds damaged at the end, and gives up after three times', async () => {
    let finishes = 0;
    const damaging = (times: number): VersionTarget => ({
      partialManifest: (cid) => store.partialManifest(cid),
      begin: async (cid, manifest) => {
        const sink = await store.begin(cid, manifest);
        return {
          chunkList: (list) => sink.chunkList(list),
          putChunkList: (list, bytes) => sink.putChunkList(list, bytes),
          missing: (lists) => sink.missing(lists),
          expect: (place, coming) => sink.expect(place, coming),
          write: (place, bytes) => sink.write(place, bytes),
          close: () => sink.close(),
          finish: async () => {
            finishes += 1;
            const place = { file: 0, index: 0, offset: 0, size: 1_000, digest: new Uint8Array(32) };
            if (finishes <= times) await sink.write(place, noise(1_000, 77));
            return sink.finish();
          },
        };
      },
    });
    const swarm = new Swarm({ a: version.source });
    await expect(fetch(swarm, { store: damaging(99) })).rejects.toMatchObject({
      code: 'ERR_CORRUPT',
    });
    expect(finishes).toBe(4);
    finishes = 0;
    await fetch(swarm, { store: damaging(3) });
    expect(await store.get(version.cid)).toBeDefined();
  });
});
