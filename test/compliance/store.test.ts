import {
  access,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { VersionStore } from '../../node/store/version-store.ts';
import { digestOfCid, digestText, sha256 } from '../../protocols/digest.ts';
import { present } from '../support/present.ts';
import { createTestFolder } from '../support/test-folder.ts';
import { blockOf, manifestFile, type VersionFixture } from '../support/version-fixture.ts';
import { beginVersion as begin, writeVersion as store } from '../support/version-writer.ts';
import { changedVersion, smallVersion, storedFiles, tests, withBytes } from './store.suite.ts';

const weights = present(smallVersion.files.get('weights.bin'));

describe('VersionStore', () => {
  tests({ open: (folder) => VersionStore.open(folder) });

  describe('on disk', () => {
    let folder: Awaited<ReturnType<typeof createTestFolder>>;
    let opened: VersionStore;
    const at = (...names: string[]): string => path.join(folder.path, ...names);
    const damage = async (file: string, offset: number): Promise<void> => {
      await writeFile(file, withBytes(await readFile(file), offset, Uint8Array.of(1, 2, 3, 4)));
    };

    beforeEach(async () => {
      folder = await createTestFolder();
      opened = await VersionStore.open(folder.path);
    });
    afterEach(async () => {
      await opened.close();
      await folder[Symbol.asyncDispose]();
    });

    openTests(() => folder.path);
    derivedTests(() => opened, at);
    damageTests(() => opened, at, damage);

    describe('after a crash', () => {
      const reopen = async (): Promise<void> => {
        opened = await VersionStore.open(folder.path);
      };

      test('takes the files back when it came between the rename and the index', async () => {
        const sink = await begin(opened, smallVersion);
        for (const place of await sink.missing(smallVersion.lists)) {
          await sink.write(place, blockOf(smallVersion, place.digest));
        }
        await sink.close();
        await opened.close();
        const { cid } = smallVersion;
        await writeFile(at('partial', cid, 'files', 'empty.txt'), '');
        await rename(at('partial', cid, 'files'), at('versions', cid));
        await reopen();
        expect(await opened.get(cid)).toBeUndefined();
        expect(await readdir(at('versions'))).toEqual([]);
        expect(await store(opened, smallVersion)).toEqual([]);
        expect(await storedFiles(opened, smallVersion)).toEqual(smallVersion.files);
      });

      test('clears what was fetched when it came after the index', async () => {
        await store(opened, smallVersion);
        await opened.close();
        await mkdir(at('partial', smallVersion.cid, 'lists'), { recursive: true });
        await reopen();
        expect(await storedFiles(opened, smallVersion)).toEqual(smallVersion.files);
        expect(await readdir(at('partial'))).toEqual([]);
      });

      test('clears the files of a version that was being removed, and what else lies there', async () => {
        await opened.close();
        await mkdir(at('versions', smallVersion.cid));
        await writeFile(at('versions', '.DS_Store'), 'x');
        await reopen();
        expect(await readdir(at('versions'))).toEqual([]);
      });

      test('forgets a version whose folder is gone, so that it is fetched anew', async () => {
        await store(opened, smallVersion);
        await store(opened, changedVersion);
        await opened.close();
        await rm(at('versions', smallVersion.cid), { recursive: true });
        await reopen();
        expect(await opened.get(smallVersion.cid)).toBeUndefined();
        expect(await storedFiles(opened, changedVersion)).toEqual(changedVersion.files);
        await store(opened, smallVersion);
        expect(await storedFiles(opened, smallVersion)).toEqual(smallVersion.files);
      });
    });
  });
});

type At = (...names: string[]) => string;

function openTests(folder: () => string): void {
  test('open refuses with ERR_STORE a folder that is in use, and says so', async () => {
    await expect(VersionStore.open(folder())).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringContaining('is in use by another process'),
    });
  });

  test('open refuses with ERR_STORE a place that is a file', async () => {
    const file = path.join(folder(), 'file');
    await writeFile(file, '');
    await expect(VersionStore.open(file)).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringContaining('cannot be opened'),
    });
  });

  test.each([
    ['names no table', 'CURRENT', (file: string) => writeFile(file, 'garbage')],
    ['is lost while versions are there', 'CURRENT', (file: string) => rm(file)],
    ['is removed while versions are there', '', (file: string) => rm(file, { recursive: true })],
  ])('open refuses with ERR_STORE an index that %s, and touches nothing', async (_, name, harm) => {
    const other = path.join(folder(), 'other');
    const damaged = await VersionStore.open(other);
    await store(damaged, smallVersion);
    await damaged.close();
    await harm(path.join(other, 'index', name));
    await expect(VersionStore.open(other)).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringMatching(/is damaged .*: restore it from a backup/),
    });
    await access(path.join(other, 'versions', smallVersion.cid, 'model.onnx'));
  });
}

function damageTests(
  opened: () => VersionStore,
  at: At,
  damage: (file: string, offset: number) => Promise<void>,
): void {
  /** Fetches what a version lacks and says how many chunks that were. */
  const repair = async (version: VersionFixture): Promise<number> => {
    const missing = await store(opened(), version);
    expect(await storedFiles(opened(), version)).toEqual(version.files);
    return missing.length;
  };

  describe('that is damaged', () => {
    test('read throws ERR_CORRUPT for the chunk, and a second fetch moves that chunk alone', async () => {
      await store(opened(), smallVersion);
      await damage(at('versions', smallVersion.cid, 'weights.bin'), 4_100);
      const chunk = weights.subarray(4_000, 5_000);
      await expect(opened().read(sha256(chunk))).rejects.toMatchObject({
        code: 'ERR_CORRUPT',
        message: expect.stringContaining("at 4000 of 'weights.bin'"),
      });
      expect(await opened().get(smallVersion.cid)).toBeUndefined();
      expect(await repair(smallVersion)).toBe(1);
      expect(await opened().read(sha256(chunk))).toEqual(chunk);
    });

    test('read takes a chunk from the version where it is whole', async () => {
      await store(opened(), smallVersion);
      await store(opened(), changedVersion);
      await damage(at('versions', smallVersion.cid, 'weights.bin'), 4_100);
      await damage(at('versions', changedVersion.cid, 'weights.bin'), 5_100);
      for (const offset of [4_000, 5_000]) {
        const chunk = weights.subarray(offset, offset + 1_000);
        expect(await opened().read(sha256(chunk))).toEqual(chunk);
      }
    });

    test('get knows nothing of a version that lacks bytes or a file, and a second fetch repairs it', async () => {
      await store(opened(), smallVersion);
      await truncate(at('versions', smallVersion.cid, 'weights.bin'), 9_999);
      expect(await opened().get(smallVersion.cid)).toBeUndefined();
      expect(await repair(smallVersion)).toBe(2);
      await rm(at('versions', smallVersion.cid, 'model.onnx'));
      expect(await opened().get(smallVersion.cid)).toBeUndefined();
      expect(await repair(smallVersion)).toBe(3);
    });

    test('missing asks again for chunks of an earlier attempt that do not match their digest', async () => {
      const sink = await begin(opened(), smallVersion);
      const places = await sink.missing(smallVersion.lists);
      for (const place of places) await sink.write(place, blockOf(smallVersion, place.digest));
      await sink.close();
      await damage(at('partial', smallVersion.cid, 'files', 'model.onnx'), 1_500);
      expect(await repair(smallVersion)).toBe(1);
    });

    test('finish throws ERR_CORRUPT for a chunk damaged after it was written, which is then missing', async () => {
      const sink = await begin(opened(), smallVersion);
      const places = await sink.missing(smallVersion.lists);
      for (const place of places) await sink.write(place, blockOf(smallVersion, place.digest));
      await damage(at('partial', smallVersion.cid, 'files', 'model.onnx'), 2_300);
      await expect(sink.finish()).rejects.toMatchObject({ code: 'ERR_CORRUPT' });
      const again = await sink.missing(smallVersion.lists);
      expect(again).toMatchObject([{ file: 1, index: 2 }]);
      for (const place of again) await sink.write(place, blockOf(smallVersion, place.digest));
      await sink.finish();
      await sink.close();
      expect(await storedFiles(opened(), smallVersion)).toEqual(smallVersion.files);
    });

    test('a manifest or chunk list of an earlier attempt is fetched again', async () => {
      const sink = await begin(opened(), smallVersion);
      await sink.close();
      const { cid } = smallVersion;
      await damage(at('partial', cid, 'manifest'), 10);
      expect(await opened().partialManifest(cid)).toBeUndefined();
      const { chunks } = manifestFile(smallVersion, 'model.onnx');
      const list = digestText(digestOfCid(chunks));
      await damage(at('partial', cid, 'lists', list), 0);
      const next = await opened().begin(cid, smallVersion.manifestBytes);
      expect(await next.chunkList(chunks)).toBeUndefined();
      await next.close();
      expect(await store(opened(), smallVersion)).toHaveLength(14);
    });

    test('what lies among the files of an attempt is not in the finished version', async () => {
      const sink = await begin(opened(), smallVersion);
      await sink.close();
      const files = at('partial', smallVersion.cid, 'files');
      await writeFile(path.join(files, 'model.onnx'), new Uint8Array(99_999));
      await mkdir(path.join(files, 'folder'));
      await writeFile(path.join(files, 'extra.bin'), 'x');
      await store(opened(), smallVersion);
      expect(await storedFiles(opened(), smallVersion)).toEqual(smallVersion.files);
    });
  });
}

function derivedTests(opened: () => VersionStore, at: (...names: string[]) => string): void {
  describe('what is derived from a version', () => {
    const derive = async (version: VersionFixture, bytes: number): Promise<void> => {
      const form = path.join(opened().derivedFolder, version.cid, 'form');
      await mkdir(form, { recursive: true });
      await writeFile(path.join(form, 'weights.bin'), new Uint8Array(bytes).fill(1));
    };

    test('counts as the version, and leaves with it alone', async () => {
      await store(opened(), smallVersion);
      await store(opened(), changedVersion);
      const sizes = async (): Promise<Map<string, number>> =>
        new Map((await opened().upkeep.list()).map(({ cid, bytes }) => [cid, bytes]));
      const before = await sizes();
      await derive(smallVersion, 2 ** 20);
      await derive(changedVersion, 2 ** 20);
      const after = await sizes();
      for (const { cid } of [smallVersion, changedVersion]) {
        expect(after.get(cid)).toBe((before.get(cid) ?? 0) + 2 ** 20);
      }
      await opened().remove(smallVersion.cid);
      expect(await readdir(opened().derivedFolder)).toEqual([changedVersion.cid]);
    });

    test('goes when the store is opened, if its version has gone without it', async () => {
      await store(opened(), smallVersion);
      await derive(smallVersion, 1);
      await derive(changedVersion, 1);
      await opened().close();
      const again = await VersionStore.open(at());
      expect(await readdir(again.derivedFolder)).toEqual([smallVersion.cid]);
      await again.close();
    });

    test('has room as long as the quota has', async () => {
      await opened().close();
      const bounded = await VersionStore.open(at(), { quotaBytes: 2 ** 20 });
      await store(bounded, smallVersion);
      expect(await bounded.freeBytes()).toBeLessThan(2 ** 20);
      expect(await bounded.freeBytes()).toBeGreaterThanOrEqual(2 ** 19);
      await bounded.close();
    });
  });
}
