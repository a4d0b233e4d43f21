import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { StoredVersion } from '../../node/store/version-store.ts';
import type { WantedVersion } from '../../node/store/wanted-versions.ts';
import { formatBytes } from '../../protocols/byte-size.ts';
import { digestOfCid, sha256 } from '../../protocols/digest.ts';
import { type BlockSource, WHOLE } from '../../protocols/transfer/index.ts';
import type { PublisherId, VersionCid } from '../../protocols/types.ts';
import { fetchVersion } from '../../src/swarm/fetch.ts';
import type { ChunkPlace, VersionTarget } from '../../src/swarm/version-sink.ts';
import { noise } from '../support/noise.ts';
import { present } from '../support/present.ts';
import { createTestFolder } from '../support/test-folder.ts';
import {
  blockOf,
  createVersionFixture,
  manifestDigest,
  manifestFile,
  type VersionFixture,
} from '../support/version-fixture.ts';
import { beginVersion as begin, writeVersion as store } from '../support/version-writer.ts';

/** A node's store under test. */
export interface StoreUnderTest extends VersionTarget, BlockSource {
  get(cid: VersionCid): Promise<StoredVersion | undefined>;
  remove(cid: VersionCid): Promise<void>;
  want(wanted: WantedVersion): Promise<void>;
  unwant(cid: VersionCid): Promise<void>;
  wanted(): Promise<WantedVersion[]>;
  close(): Promise<void>;
}

export interface StoreSuite {
  /** Opens the store in a folder: a new one, or the one that was closed there. */
  readonly open: (folder: string) => Promise<StoreUnderTest>;
}

const WEIGHTS = noise(10_500, 1);
const PUBLISHER = '12D3KooWQTS7YVoZ35LQ1Fb8NRSpxKGYHzFxM1PNuRmcsS9xTHJu' as PublisherId;

export const smallVersion = createVersionFixture({
  files: {
    'model.onnx': noise(2_345, 2),
    'weights.bin': WEIGHTS,
    'empty.txt': new Uint8Array(),
  },
});

/** The same weights but for their third chunk, and a graph of its own. */
export const changedVersion = createVersionFixture({
  files: {
    'model.onnx': noise(2_100, 3),
    'weights.bin': withBytes(WEIGHTS, 2_000, noise(1_000, 4)),
  },
});

/** The files of a complete version by name, whatever lies in its folder; undefined when it is not complete. */
export async function storedFiles(
  under: StoreUnderTest,
  { cid }: VersionFixture,
): Promise<Map<string, Uint8Array> | undefined> {
  const directory = (await under.get(cid))?.directory;
  if (directory === undefined) return undefined;
  const names = await readdir(directory);
  const files = names.map(
    async (name) => [name, new Uint8Array(await readFile(path.join(directory, name)))] as const,
  );
  return new Map(await Promise.all(files));
}

export function withBytes(bytes: Uint8Array, offset: number, change: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  copy.set(change, offset);
  return copy;
}

/** The same of every store: what {@link VersionTarget}, {@link BlockSource} and a node's restart rely on. */
export function tests({ open }: StoreSuite): void {
  let folder: Awaited<ReturnType<typeof createTestFolder>>;
  let under: StoreUnderTest;
  const reopen = async (): Promise<StoreUnderTest> => {
    await under.close();
    under = await open(folder.path);
    return under;
  };

  beforeEach(async () => {
    folder = await createTestFolder();
    under = await open(folder.path);
  });
  afterEach(async () => {
    await under.close();
    await folder[Symbol.asyncDispose]();
  });

  fetchTests(() => under, reopen);
  partialTests(() => under, reopen);
  sharingTests(() => under);
  removalTests(() => under, reopen);
  memoryTests(() => under, reopen);
}

type Under = () => StoreUnderTest;
type Reopen = () => Promise<StoreUnderTest>;

function fetchTests(under: Under, reopen: Reopen): void {
  describe('a version that is fetched', () => {
    test('begin, missing, write and finish make it complete, byte for byte', async () => {
      expect(await under().get(smallVersion.cid)).toBeUndefined();
      const missing = await store(under(), smallVersion);
      expect(missing).toHaveLength(14);
      const stored = present(await under().get(smallVersion.cid));
      expect(stored.manifest).toEqual(smallVersion.manifest);
      expect(path.isAbsolute(stored.directory)).toBe(true);
      expect(await storedFiles(under(), smallVersion)).toEqual(smallVersion.files);
    });

    test('get finds it after the store was closed and opened again', async () => {
      await store(under(), smallVersion);
      expect(await storedFiles(await reopen(), smallVersion)).toEqual(smallVersion.files);
    });

    test('read gives its manifest, chunk lists and chunks, and undefined for what is not there', async () => {
      await store(under(), smallVersion);
      for (const bytes of smallVersion.blocks.values()) {
        expect(await under().read(sha256(bytes))).toEqual(bytes);
      }
      expect(await under().read(sha256(noise(9, 9)))).toBeUndefined();
    });

    test('read rejects with the reason of a signal that is aborted', async () => {
      const signal = AbortSignal.abort(new Error('given up'));
      await expect(under().read(manifestDigest(smallVersion), { signal })).rejects.toThrow(
        'given up',
      );
    });

    test('fetchVersion brings it over from a peer', async () => {
      const { source } = smallVersion;
      await fetchVersion({
        cid: smallVersion.cid,
        store: under(),
        peers: ['a'],
        connect: async () => ({
          fetch: async (digest) => present(await source.read(digest)),
          holdings: async () => WHOLE,
          close: async () => undefined,
        }),
      });
      expect(await storedFiles(under(), smallVersion)).toEqual(smallVersion.files);
    });

    test('a chunk that stands in several places is written to each', async () => {
      const version = createVersionFixture({ files: { 'zeros.bin': new Uint8Array(4_500) } });
      expect(await store(under(), version)).toHaveLength(5);
      expect(await storedFiles(under(), version)).toEqual(version.files);
    });

    test('finish refuses with ERR_INVALID_RECORD when the chunks are right and the file hash is a lie', async () => {
      const lie = createVersionFixture({
        files: { 'model.onnx': noise(1_500, 5) },
        change: (manifest) => ({
          ...manifest,
          files: manifest.files.map((file) => ({ ...file, sha256: new Uint8Array(32) })),
        }),
      });
      await expect(store(under(), lie)).rejects.toMatchObject({
        code: 'ERR_INVALID_RECORD',
        message: expect.stringContaining("file 'model.onnx'"),
      });
      expect(await under().get(lie.cid)).toBeUndefined();
    });

    test('finish refuses with ERR_CORRUPT while chunks are missing, and says how many bytes', async () => {
      const sink = await begin(under(), smallVersion);
      const missing = await sink.missing(smallVersion.lists);
      for (const place of missing.slice(1))
        await sink.write(place, blockOf(smallVersion, place.digest));
      await expect(sink.finish()).rejects.toMatchObject({
        code: 'ERR_CORRUPT',
        message: expect.stringContaining('1000 bytes'),
      });
      expect(await sink.missing(smallVersion.lists)).toEqual(missing.slice(0, 1));
      await sink.close();
    });

    test('begin refuses with ERR_INVALID_RECORD a manifest of another CID', async () => {
      await expect(
        under().begin(smallVersion.cid, changedVersion.manifestBytes),
      ).rejects.toMatchObject({ code: 'ERR_INVALID_RECORD' });
    });

    test('begin refuses with ERR_STORE and numbers a version that the disk has no room for', async () => {
      const size = 2 ** 52;
      const large = createVersionFixture({
        files: { 'model.onnx': new Uint8Array() },
        change: (manifest) => ({
          ...manifest,
          files: manifest.files.map((file) => ({ ...file, size })),
        }),
      });
      await expect(under().begin(large.cid, large.manifestBytes)).rejects.toMatchObject({
        code: 'ERR_STORE',
        message: expect.stringContaining(`needs ${formatBytes(size)} of disk, found `),
        details: { neededBytes: size, freeBytes: expect.any(Number) },
      });
    });
  });
}

function partialTests(under: Under, reopen: Reopen): void {
  describe('a version that is fetched in part', () => {
    const putFirst = async (count: number): Promise<ChunkPlace[]> => {
      const sink = await begin(under(), smallVersion);
      const missing = await sink.missing(smallVersion.lists);
      for (const place of missing.slice(0, count)) {
        await sink.write(place, blockOf(smallVersion, place.digest));
      }
      await sink.close();
      return missing;
    };

    test('another attempt asks only for what is missing, also after the store was closed', async () => {
      const all = await putFirst(6);
      for (const next of [under, reopen]) {
        const target = await next();
        expect(await target.partialManifest(smallVersion.cid)).toEqual(smallVersion.manifestBytes);
        const sink = await target.begin(smallVersion.cid, smallVersion.manifestBytes);
        for (const { chunks } of smallVersion.manifest.files) {
          expect(await sink.chunkList(chunks)).toBeDefined();
        }
        expect(await sink.missing(smallVersion.lists)).toEqual(all.slice(6));
        await sink.close();
      }
      expect(await store(under(), smallVersion)).toEqual(all.slice(6));
      expect(await storedFiles(under(), smallVersion)).toEqual(smallVersion.files);
    });

    test('get knows nothing of it', async () => {
      await putFirst(14);
      expect(await under().get(smallVersion.cid)).toBeUndefined();
    });

    test('read serves what is there of it while it is being fetched, and nothing else', async () => {
      const sink = await begin(under(), smallVersion);
      const missing = await sink.missing(smallVersion.lists);
      const first = present(missing[0]);
      const second = present(missing[1]);
      await sink.write(first, blockOf(smallVersion, first.digest));
      expect(await under().read(first.digest)).toEqual(blockOf(smallVersion, first.digest));
      expect(await under().read(second.digest)).toBeUndefined();
      expect(await under().read(manifestDigest(smallVersion))).toEqual(smallVersion.manifestBytes);
      const list = digestOfCid(manifestFile(smallVersion, 'weights.bin').chunks);
      expect(await under().read(list)).toEqual(blockOf(smallVersion, list));
      await sink.close();
    });

    test('begin refuses with ERR_STORE a version that is being fetched, until that was closed', async () => {
      const sink = await begin(under(), smallVersion);
      await expect(
        under().begin(smallVersion.cid, smallVersion.manifestBytes),
      ).rejects.toMatchObject({
        code: 'ERR_STORE',
        message: expect.stringContaining('is being fetched already'),
      });
      await expect(under().remove(smallVersion.cid)).rejects.toMatchObject({ code: 'ERR_STORE' });
      await sink.close();
      expect(await store(under(), smallVersion)).toHaveLength(14);
    });

    test('two versions can be fetched at the same time', async () => {
      await Promise.all([store(under(), smallVersion), store(under(), changedVersion)]);
      expect(await storedFiles(under(), smallVersion)).toEqual(smallVersion.files);
      expect(await storedFiles(under(), changedVersion)).toEqual(changedVersion.files);
    });

    test('close ends what is under way, with ERR_STORE', async () => {
      await putFirst(14);
      const sink = await begin(under(), smallVersion);
      const missing = sink.missing(smallVersion.lists).catch((error: unknown) => error);
      await sink.close();
      expect(await missing).toMatchObject({ code: 'ERR_STORE' });
    });

    test('a sink that was closed refuses with ERR_STORE', async () => {
      const sink = await begin(under(), smallVersion);
      const first = present((await sink.missing(smallVersion.lists))[0]);
      await sink.close();
      await sink.close();
      const write = sink.write(first, blockOf(smallVersion, first.digest));
      await expect(write).rejects.toMatchObject({ code: 'ERR_STORE' });
      await expect(sink.finish()).rejects.toMatchObject({ code: 'ERR_STORE' });
    });
  });
}

function sharingTests(under: Under): void {
  describe('a version that shares chunks with another', () => {
    test('missing asks only for the chunks that changed', async () => {
      await store(under(), smallVersion);
      const missing = await store(under(), changedVersion);
      const changed = missing.map(({ file, index }) => [
        changedVersion.manifest.files[file]?.path,
        index,
      ]);
      expect(changed).toEqual([
        ['model.onnx', 0],
        ['model.onnx', 1],
        ['model.onnx', 2],
        ['weights.bin', 2],
      ]);
      expect(await storedFiles(under(), changedVersion)).toEqual(changedVersion.files);
      expect(await storedFiles(under(), smallVersion)).toEqual(smallVersion.files);
    });

    test('chunkList finds the list of a file that did not change', async () => {
      await store(under(), smallVersion);
      const sibling = createVersionFixture({
        files: { 'graph.onnx': noise(10, 7), 'weights.bin': WEIGHTS },
      });
      const sink = await under().begin(sibling.cid, sibling.manifestBytes);
      const lists = ['graph.onnx', 'weights.bin'].map((name) => manifestFile(sibling, name).chunks);
      const found = await Promise.all(lists.map((list) => sink.chunkList(list)));
      expect(found.map((bytes) => bytes !== undefined)).toEqual([false, true]);
      await sink.close();
    });

    test('removing one leaves all of the other', async () => {
      await store(under(), smallVersion);
      await store(under(), changedVersion);
      await under().remove(smallVersion.cid);
      expect(await under().get(smallVersion.cid)).toBeUndefined();
      expect(await under().read(manifestDigest(smallVersion))).toBeUndefined();
      expect(await storedFiles(under(), changedVersion)).toEqual(changedVersion.files);
      for (const bytes of changedVersion.blocks.values()) {
        expect(await under().read(sha256(bytes))).toEqual(bytes);
      }
    });
  });
}

function removalTests(under: Under, reopen: Reopen): void {
  describe('remove', () => {
    test('takes a complete version away for good, so that it can be fetched anew', async () => {
      await store(under(), smallVersion);
      await under().remove(smallVersion.cid);
      await under().remove(smallVersion.cid);
      for (const bytes of smallVersion.blocks.values()) {
        expect(await under().read(sha256(bytes))).toBeUndefined();
      }
      expect(await (await reopen()).get(smallVersion.cid)).toBeUndefined();
      expect(await store(under(), smallVersion)).toHaveLength(14);
    });

    test('takes away what was fetched in part', async () => {
      await (await begin(under(), smallVersion)).close();
      await under().remove(smallVersion.cid);
      expect(await under().partialManifest(smallVersion.cid)).toBeUndefined();
    });

    test('and get refuse with ERR_INVALID_INPUT what is no CID of a version', async () => {
      for (const text of [
        '',
        '../../etc',
        'bafkqaaa',
        'zdpuAwKoswaTNyJUMHdVqCqHY3Twrj8q5QsCCUpuxHcutpuSN',
      ]) {
        const refusal = { code: 'ERR_INVALID_INPUT' };
        await expect(under().get(text as VersionCid)).rejects.toMatchObject(refusal);
        await expect(under().remove(text as VersionCid)).rejects.toMatchObject(refusal);
      }
    });
  });
}

function memoryTests(under: Under, reopen: Reopen): void {
  describe('what outlives a restart', () => {
    const wanted = (seed: number): WantedVersion => ({
      publisher: PUBLISHER,
      name: 'digits',
      cid: smallVersion.cid,
      release: seed === 0 ? null : noise(300, seed),
    });

    test('wanted lists what was wanted last per version, and no more what is unwanted', async () => {
      const changed = { ...wanted(2), cid: changedVersion.cid };
      await under().want(wanted(0));
      expect(await (await reopen()).wanted()).toEqual([wanted(0)]);
      await under().want(changed);
      await under().want(wanted(3));
      const found = await (await reopen()).wanted();
      expect(found).toHaveLength(2);
      expect(found).toEqual(expect.arrayContaining([changed, wanted(3)]));
      await under().unwant(smallVersion.cid);
      await under().unwant(smallVersion.cid);
      expect(await (await reopen()).wanted()).toEqual([changed]);
    });

    test('a version has up to 64 names, each with its own record, and none once it is unwanted', async () => {
      const named = (seed: number): WantedVersion => ({ ...wanted(seed), name: `name-${seed}` });
      for (let seed = 1; seed <= 64; seed += 1) await under().want(named(seed));
      await expect(under().want(named(65))).rejects.toMatchObject({ code: 'ERR_LIMIT' });
      const renewed = { ...named(9), release: noise(300, 99) };
      await under().want(renewed);
      const found = await (await reopen()).wanted();
      expect([found.length, found[0]]).toEqual([64, named(1)]);
      expect(found).toContainEqual(renewed);
      await under().unwant(smallVersion.cid);
      expect(await under().wanted()).toEqual([]);
    });

    test('a store that is closed refuses with ERR_STORE, and close can be called twice', async () => {
      await under().close();
      await under().close();
      const refusal = { code: 'ERR_STORE' };
      await expect(under().want(wanted(1))).rejects.toMatchObject(refusal);
      await expect(under().get(smallVersion.cid)).rejects.toMatchObject(refusal);
      await expect(
        under().begin(smallVersion.cid, smallVersion.manifestBytes),
      ).rejects.toMatchObject(refusal);
    });
  });
}
