import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Level } from 'level';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CollectedVersion, VersionKnowledge } from '../../../../node/store/store-upkeep.ts';
import type { VerifiedVersion } from '../../../../node/store/store-verify.ts';
import { VersionStore, type VersionStoreInit } from '../../../../node/store/version-store.ts';
import { sha256 } from '../../../../protocols/digest.ts';
import type { PublisherId, VersionCid } from '../../../../protocols/types.ts';
import { noise } from '../../../support/noise.ts';
import { present } from '../../../support/present.ts';
import { createTestFolder } from '../../../support/test-folder.ts';
import { createVersionFixture, type VersionFixture } from '../../../support/version-fixture.ts';
import { writeVersion } from '../../../support/version-writer.ts';

const WEIGHTS = noise(40_000, 1);
const first = createVersionFixture({
  files: { 'model.onnx': noise(8_192, 2), 'weights.bin': WEIGHTS },
});
/** The same weights, another graph. */
const second = createVersionFixture({
  files: { 'model.onnx': noise(8_192, 3), 'weights.bin': WEIGHTS },
});
const other = createVersionFixture({ files: { 'model.onnx': noise(50_000, 4) } });

/** What a test says of the swarm, by CID. */
class Knowledge implements VersionKnowledge {
  readonly used = new Set<VersionCid>();
  readonly holders = new Map<VersionCid, number>();
  inUse(cid: VersionCid): boolean {
    return this.used.has(cid);
  }
  readonly unreleased = new Set<VersionCid>();
  async released(cid: VersionCid): Promise<boolean> {
    return !this.unreleased.has(cid);
  }
  async current(): Promise<boolean> {
    return false;
  }
  async otherHolders(cid: VersionCid): Promise<number> {
    return this.holders.get(cid) ?? 0;
  }
}

describe('StoreUpkeep', () => {
  let folder: Awaited<ReturnType<typeof createTestFolder>>;
  let store: VersionStore;
  const at = (...names: string[]): string => path.join(folder.path, ...names);
  const reopen = async (init?: VersionStoreInit): Promise<void> => {
    await store.close();
    store = await VersionStore.open(folder.path, init);
  };
  const put = async (version: VersionFixture): Promise<number> =>
    (await writeVersion(store, version)).length;
  const want = ({ cid }: VersionFixture, name = 'm'): Promise<void> =>
    store.want({ publisher: 'p' as PublisherId, name, cid, release: null });
  const verify = async (): Promise<VerifiedVersion[]> => {
    const found: VerifiedVersion[] = [];
    for await (const verified of store.upkeep.verify()) found.push(verified);
    return found;
  };

  beforeEach(async () => {
    folder = await createTestFolder();
    store = await VersionStore.open(folder.path);
  });
  afterEach(async () => {
    await store.close();
    await folder[Symbol.asyncDispose]();
  });

  describe('list', () => {
    it('shows what is whole and what is a part, what is shared, and why each stays', async () => {
      await put(first);
      await put(second);
      await want(first, 'lookup');
      await want(first, 'a further name');
      await store.upkeep.pin(second.cid);
      const sink = await store.begin(other.cid, other.manifestBytes);
      const listed = new Map((await store.upkeep.list()).map((entry) => [entry.cid, entry]));
      expect(listed.get(first.cid)).toMatchObject({
        state: 'whole',
        name: 'lookup',
        publisher: 'p',
        sharedBytes: 40_000,
        wanted: true,
        pinned: false,
        uses: 1,
      });
      expect(present(listed.get(first.cid)).bytes).toBeGreaterThanOrEqual(48_192);
      expect(listed.get(second.cid)).toMatchObject({ name: null, wanted: false, pinned: true });
      expect(listed.get(other.cid)).toMatchObject({
        state: 'partial',
        sharedBytes: null,
        inUse: true,
        lastUsedMs: null,
      });
      await sink.close();
    });

    it('counts uses over a restart', async () => {
      await put(first);
      for (let use = 0; use < 3; use += 1) store.noteUse(first.cid);
      await reopen();
      store.noteUse(first.cid);
      const before = Date.now();
      const [entry] = await store.upkeep.list();
      expect(entry).toMatchObject({ cid: first.cid, uses: 5 });
      expect(present(entry).lastUsedMs).toBeGreaterThan(before - 60_000);
    });
  });

  describe('verify', () => {
    it('finds nothing wrong with what is right', async () => {
      await put(first);
      expect(await verify()).toEqual([
        { cid: first.cid, bytes: 48_192, faults: [], repaired: false },
      ]);
    });

    it('finds a flipped bit, a file of another size and a lost one, after which only what is missing is fetched', async () => {
      await put(first);
      await put(other);
      const weights = at('versions', first.cid, 'weights.bin');
      const bytes = await readFile(weights);
      bytes[12_345] = (bytes[12_345] ?? 0) ^ 1;
      await writeFile(weights, bytes);
      await rm(at('versions', other.cid, 'model.onnx'));
      const found = new Map((await verify()).map((one) => [one.cid, one]));
      expect(found.get(first.cid)?.faults).toEqual([
        expect.stringMatching(/^file 'weights.bin' hashes to [0-9a-f]{64}, expected /),
      ]);
      expect(found.get(other.cid)?.faults).toEqual(["file 'model.onnx' is missing"]);
      expect(await store.get(first.cid)).toBeUndefined();
      expect((await store.upkeep.list()).map(({ state }) => state)).toEqual(['damaged', 'damaged']);
      expect(await put(first)).toBe(1);
      expect(await put(other)).toBe(50);
      expect((await verify()).flatMap(({ faults }) => faults)).toEqual([]);
      await writeFile(weights, bytes.subarray(1));
      expect((await verify()).flatMap(({ faults }) => faults)).toEqual([
        "file 'weights.bin' has 39999 bytes, expected 40000",
      ]);
    });

    it('takes back that a version is damaged when it is whole again', async () => {
      await put(first);
      const file = at('versions', first.cid, 'model.onnx');
      const bytes = await readFile(file);
      await writeFile(file, bytes.subarray(1));
      expect(await store.get(first.cid)).toBeUndefined();
      await writeFile(file, bytes);
      expect(await verify()).toMatchObject([{ faults: [], repaired: true }]);
      expect(await store.get(first.cid)).toBeDefined();
    });

    it('puts back into the index where chunks are when it was lost there', async () => {
      await put(first);
      await store.close();
      const level = new Level(at('index'));
      await level.sublevel('chunks').clear();
      await level.close();
      store = await VersionStore.open(folder.path);
      const chunk = WEIGHTS.subarray(0, 1_000);
      expect(await store.read(sha256(chunk))).toBeUndefined();
      expect(await verify()).toMatchObject([{ faults: [], repaired: true }]);
      expect(await store.read(sha256(chunk))).toEqual(chunk);
    });

    it('finds a manifest and a chunk list that are lost', async () => {
      await put(first);
      await store.close();
      const level = new Level(at('index'));
      await level.sublevel('blocks').clear();
      await level.close();
      store = await VersionStore.open(folder.path);
      expect(await verify()).toMatchObject([
        { faults: ['its manifest is missing from the index, or damaged there'], repaired: true },
      ]);
      expect(await put(first)).toBe(0);
      expect(await store.get(first.cid)).toBeDefined();
    });
  });

  describe('collect', () => {
    let knowledge: Knowledge;
    const collect = async (): Promise<CollectedVersion[]> => {
      const found: CollectedVersion[] = [];
      for await (const one of store.upkeep.collect()) found.push(one);
      return found;
    };
    beforeEach(async () => {
      knowledge = new Knowledge();
      await reopen({ knowledge });
    });

    it('removes what is not wanted, not pinned and not in use, parts too, and nothing else', async () => {
      for (const version of [first, second, other]) await put(version);
      await want(first);
      await store.upkeep.pin(second.cid);
      const part = createVersionFixture({ files: { 'model.onnx': noise(9_000, 9) } });
      await (await store.begin(part.cid, part.manifestBytes)).close();
      knowledge.holders.set(other.cid, 1);
      const removed = new Map((await collect()).map((one) => [one.cid, one]));
      expect(new Set(removed.keys())).toEqual(new Set([other.cid, part.cid]));
      const gone = removed.get(other.cid);
      expect(gone && 'freedBytes' in gone && gone.freedBytes).toBeGreaterThanOrEqual(50_000);
      expect(await readdir(at('versions'))).toHaveLength(2);
      expect(await readdir(at('partial'))).toEqual([]);
      await store.upkeep.unpin(second.cid);
      knowledge.holders.set(second.cid, 2);
      expect(await collect()).toEqual([{ cid: second.cid, freedBytes: expect.any(Number) }]);
      expect(await store.get(first.cid)).toBeDefined();
    });

    it('leaves a version alone that others read just now', async () => {
      await put(first);
      await store.read(sha256(WEIGHTS.subarray(0, 1_000)));
      knowledge.holders.set(first.cid, 1);
      expect(await collect()).toEqual([]);
    });

    it('keeps the last known copy of a released version, says so, and removes it when others have it', async () => {
      await put(first);
      expect(await collect()).toEqual([{ cid: first.cid, kept: 'last copy' }]);
      expect(await store.get(first.cid)).toBeDefined();
      knowledge.holders.set(first.cid, 1);
      expect(await collect()).toMatchObject([{ cid: first.cid, freedBytes: expect.any(Number) }]);
      expect(await store.get(first.cid)).toBeUndefined();
    });

    it('removes the only copy of what no release names', async () => {
      await put(first);
      knowledge.unreleased.add(first.cid);
      expect(await collect()).toMatchObject([{ cid: first.cid, freedBytes: expect.any(Number) }]);
    });

    it('removes parts alone where nobody knows of the swarm, and says so of the rest', async () => {
      await reopen();
      await put(first);
      await (await store.begin(other.cid, other.manifestBytes)).close();
      expect(new Set(await collect())).toEqual(
        new Set([
          { cid: first.cid, kept: 'node stopped' },
          { cid: other.cid, freedBytes: expect.any(Number) },
        ]),
      );
      expect(await store.get(first.cid)).toBeDefined();
    });
  });

  it('pin and unpin refuse with ERR_NOT_FOUND what is not here, or not pinned', async () => {
    await expect(store.upkeep.pin(first.cid)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
    await put(first);
    await expect(store.upkeep.unpin(first.cid)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
  });

  describe('evict', () => {
    let knowledge: Knowledge;
    const evicted: string[] = [];
    const removed: string[] = [];
    const QUOTA_BYTES = 130_000;
    const open = (quotaBytes: number): Promise<void> =>
      reopen({
        quotaBytes,
        knowledge,
        onEvicted: ({ cid }) => evicted.push(cid),
        onRemoved: (cid) => removed.push(cid),
      });

    beforeEach(async () => {
      knowledge = new Knowledge();
      evicted.length = 0;
      removed.length = 0;
      await put(other);
      await put(first);
      for (const { cid } of [other, first]) knowledge.holders.set(cid, 1);
      await open(QUOTA_BYTES);
    });
    const incoming = createVersionFixture({ files: { 'model.onnx': noise(50_000, 7) } });

    it('makes room for a new version by removing the one that is worth least', async () => {
      await want(other);
      for (let use = 0; use < 3; use += 1) store.noteUse(first.cid);
      await put(incoming);
      expect(evicted).toEqual([other.cid]);
      expect(removed).toEqual([other.cid]);
      expect(await store.get(other.cid)).toBeUndefined();
      expect(await store.get(first.cid)).toBeDefined();
      // Or the next start would fetch it again.
      expect(await store.wanted()).toEqual([]);
    });

    it('removes nothing while there is room', async () => {
      await open(10_000_000);
      await put(incoming);
      expect(evicted).toEqual([]);
    });

    it.each([
      ['pinned', async (cid: VersionCid) => store.upkeep.pin(cid)],
      ['in use', async (cid: VersionCid) => void knowledge.used.add(cid)],
      ['the last known copy', async (cid: VersionCid) => void knowledge.holders.set(cid, 0)],
      [
        'read by others',
        async (cid: VersionCid) => {
          const version = present([first, other].find((one) => one.cid === cid));
          await store.read(present(version.lists[0]?.[0]).digest);
        },
      ],
    ])('refuses a version with ERR_STORE rather than remove what is %s', async (_, protect) => {
      for (const { cid } of [first, other]) await protect(cid);
      await expect(put(incoming)).rejects.toMatchObject({
        code: 'ERR_STORE',
        message: expect.stringMatching(/ used of a quota of 127 KiB\)$/),
      });
      expect(evicted).toEqual([]);
      expect(await store.get(first.cid)).toBeDefined();
      expect(await store.get(other.cid)).toBeDefined();
    });

    it('removes nothing when even that would not be enough', async () => {
      const huge = createVersionFixture({ files: { 'model.onnx': noise(140_000, 8) } });
      await expect(put(huge)).rejects.toMatchObject({ code: 'ERR_STORE' });
      expect(evicted).toEqual([]);
    });

    it('removes nothing of a store that knows nothing of the swarm', async () => {
      await reopen({ quotaBytes: QUOTA_BYTES });
      await expect(put(incoming)).rejects.toMatchObject({ code: 'ERR_STORE' });
    });
  });

  describe('files that did not change', () => {
    it('are neither fetched nor stored again, and outlive the version they came with', async () => {
      await put(first);
      expect(await put(second)).toBe(9);
      const [a, b] = await store.upkeep.list();
      const both = present(a).bytes + present(b).bytes;
      await reopen({ quotaBytes: both - 30_000 });
      // More than what is left of the quota, were the weights counted twice.
      const small = createVersionFixture({ files: { 'model.onnx': noise(4_096, 5) } });
      await put(small);
      await store.remove(first.cid);
      expect((await verify()).flatMap(({ faults }) => faults)).toEqual([]);
      const directory = present(await store.get(second.cid)).directory;
      expect(new Uint8Array(await readFile(path.join(directory, 'weights.bin')))).toEqual(WEIGHTS);
    });

    it('are repaired for both versions when one of them is', async () => {
      await put(first);
      await put(second);
      const weights = at('versions', first.cid, 'weights.bin');
      const bytes = await readFile(weights);
      bytes[1] = (bytes[1] ?? 0) ^ 1;
      await writeFile(weights, bytes);
      expect((await verify()).map(({ faults }) => faults.length)).toEqual([1, 1]);
      expect(await put(first)).toBe(1);
      expect((await verify()).map(({ faults }) => faults.length)).toEqual([0, 0]);
    });
  });

  it.skipIf(process.platform !== 'linux')(
    'a disk that is full in the middle of a write is ERR_STORE with advice, and what came stays (needs /dev/full)',
    async () => {
      await (await store.begin(first.cid, first.manifestBytes)).close();
      await mkdir(at('partial', first.cid, 'files'), { recursive: true });
      const file = at('partial', first.cid, 'files', 'weights.bin');
      await symlink('/dev/full', file);
      await expect(put(first)).rejects.toMatchObject({
        code: 'ERR_STORE',
        message: expect.stringMatching(/the disk is full, free some room \(ENOSPC\)$/),
        details: { reason: 'ENOSPC' },
      });
      await rm(file);
      expect(await put(first)).toBe(40);
    },
  );
});
