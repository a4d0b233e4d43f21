import { access, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { noise } from '../../../support/noise.ts';
import {
  CHUNK_BYTES,
  CHUNKS,
  collect,
  FILE_BYTES,
  type PackingKnowledge,
  PackingStore,
  revision,
} from '../../../support/packing-store.ts';
import { present } from '../../../support/present.ts';
import { createVersionFixture } from '../../../support/version-fixture.ts';
import { writeVersion as put } from '../../../support/version-writer.ts';

/** What links, and rounding to blocks, may add to a file. */
const SLACK_BYTES = 32 * 1024;
const [v1, v2, v3] = [revision(1), revision(2), revision(3)];

describe('StorePacking', () => {
  let under: PackingStore;
  let knowledge: PackingKnowledge;
  const at = (...names: string[]): string => under.at(...names);

  beforeEach(async () => {
    under = await PackingStore.open();
    knowledge = under.knowledge;
  });
  afterEach(async () => {
    await under[Symbol.asyncDispose]();
  });

  describe('a version that nobody uses beside a changed one that is in use', () => {
    beforeEach(async () => {
      await put(under.store, v1);
      await put(under.store, v2);
      knowledge.used.add(v2.cid);
    });

    it('is stored as the chunks that it has alone', async () => {
      const [packed, ...others] = await under.pack();
      expect(others).toEqual([]);
      expect(packed).toMatchObject({ cid: v1.cid, packed: true });
      expect(present(packed).savedBytes).toBeGreaterThan(FILE_BYTES - CHUNK_BYTES - SLACK_BYTES);
      const entry = present((await under.entries()).get(v1.cid));
      expect(entry.state).toBe('packed');
      expect(entry.bytes).toBeGreaterThanOrEqual(CHUNK_BYTES);
      expect(entry.bytes).toBeLessThan(CHUNK_BYTES + SLACK_BYTES);
      expect(await readdir(at('versions'))).toEqual([v2.cid]);
    });

    it('loses what was derived from it, which the one in use keeps', async () => {
      for (const { cid } of [v1, v2]) await mkdir(at('derived', cid, 'form'), { recursive: true });
      await under.pack();
      expect(await readdir(at('derived'))).toEqual([v2.cid]);
    });

    it('gives every block to others, stays so after a restart, and verifies', async () => {
      await under.pack();
      await under.expectServed(v1);
      expect(await under.faults()).toEqual([]);
      await under.reopen();
      expect(await under.stateOf(v1)).toBe('packed');
      await under.expectServed(v1);
      expect(await under.faults()).toEqual([]);
    });

    it('is packed once: another pass finds nothing to do', async () => {
      await under.pack();
      expect(await under.pack()).toEqual([]);
      expect(await readdir(at('packed', v1.cid))).toEqual(['1']);
    });

    it('get puts its files in place, byte for byte, and it is served on', async () => {
      await under.pack();
      await under.expectFiles(v1);
      expect(await under.stateOf(v1)).toBe('whole');
      expect(await readdir(at('packed'))).toEqual([]);
      expect(await readdir(at('partial'))).toEqual([]);
      await under.expectServed(v1);
      await under.reopen();
      await under.expectFiles(v1);
    });

    it('manifest leaves it packed', async () => {
      await under.pack();
      expect(await under.store.manifest(v1.cid)).toEqual(v1.manifest);
      expect(await under.stateOf(v1)).toBe('packed');
    });

    it('get, asked for several times at once, unpacks it once for all', async () => {
      await under.pack();
      const found = await Promise.all([1, 2, 3].map(() => under.store.get(v1.cid)));
      for (const one of found) expect(one?.manifest).toEqual(v1.manifest);
    });

    it('get refuses with ERR_STORE and numbers when there is no room, and it stays packed', async () => {
      await under.pack();
      await under.reopen({ knowledge, quotaBytes: FILE_BYTES + 4 * CHUNK_BYTES });
      await expect(under.store.get(v1.cid)).rejects.toMatchObject({
        code: 'ERR_STORE',
        message: expect.stringMatching(/needs .* of disk, found .* used of a quota of/),
      });
      expect(await under.stateOf(v1)).toBe('packed');
      await under.expectServed(v1);
    });

    it('get while it is being packed ends that, and has its files whole', async () => {
      const packing = under.pack();
      await vi.waitFor(() => access(at('packed', v1.cid)), { interval: 1, timeout: 5_000 });
      knowledge.used.add(v1.cid);
      await under.expectFiles(v1);
      await packing;
      await under.expectFiles(v1);
      expect(await under.stateOf(v1)).toBe('whole');
    });

    it('read never fails while it is packed and unpacked', async () => {
      let reading = true;
      const digests = present(v1.lists[1]).map(({ digest }) => digest);
      const reader = (async () => {
        for (let index = 0; reading; index += 1) {
          expect(await under.store.read(present(digests[index % digests.length]))).toBeDefined();
        }
      })();
      for (let round = 0; round < 3; round += 1) {
        expect(await under.pack()).toHaveLength(1);
        expect(await under.store.get(v1.cid)).toBeDefined();
      }
      reading = false;
      await reader;
      expect(await under.stateOf(v1)).toBe('whole');
    });

    it('remove leaves nothing of it, and all of the other', async () => {
      await under.pack();
      await under.store.remove(v1.cid);
      expect(await readdir(at('packed'))).toEqual([]);
      expect(await under.store.get(v1.cid)).toBeUndefined();
      await under.expectFiles(v2);
    });

    it('outlives the version that its base is of, and what it takes is counted then', async () => {
      await under.pack();
      knowledge.used.clear();
      await under.store.remove(v2.cid);
      expect(present((await under.entries()).get(v1.cid)).bytes).toBeGreaterThan(FILE_BYTES);
      expect(await under.faults()).toEqual([]);
      // The base has one chunk too many: not worth writing the file anew.
      expect(await under.pack()).toEqual([]);
      await under.expectServed(v1);
      await under.expectFiles(v1);
    });
  });

  it("unpacks a version whose base is nobody else's when that gives much back", async () => {
    const far = revision(4, (CHUNKS / 3) * 2);
    await put(under.store, v1);
    await put(under.store, far);
    knowledge.used.add(far.cid);
    expect(await under.pack()).toMatchObject([{ cid: v1.cid, packed: true }]);
    knowledge.used.clear();
    await under.store.remove(far.cid);
    expect(await under.pack()).toMatchObject([{ cid: v1.cid, packed: false }]);
    expect(await under.stateOf(v1)).toBe('whole');
    expect(await under.faults()).toEqual([]);
  });

  it('makes way together with the version that its base is of, when neither alone gives enough back', async () => {
    await put(under.store, v1);
    await put(under.store, v2);
    knowledge.used.add(v2.cid);
    await under.pack();
    knowledge.used.clear();
    knowledge.holders = 1;
    await under.reopen({ knowledge, quotaBytes: FILE_BYTES + 8 * CHUNK_BYTES });
    const incoming = createVersionFixture({
      files: { 'model.onnx': noise(FILE_BYTES, 9) },
      chunkBytes: CHUNK_BYTES,
    });
    await put(under.store, incoming);
    expect([...(await under.entries()).keys()]).toEqual([incoming.cid]);
  });

  it('keeps a third version and two older ones as one file and two changes', async () => {
    await put(under.store, v1);
    await put(under.store, v2);
    knowledge.used.add(v2.cid);
    await under.pack();
    await put(under.store, v3);
    knowledge.used.clear();
    knowledge.used.add(v3.cid);
    const repacked = await under.pack();
    expect(repacked.map(({ cid }) => cid)).toEqual([v1.cid, v2.cid]);
    const entries = [...(await under.entries()).values()];
    const bytes = entries.reduce((total, entry) => total + entry.bytes, 0);
    expect(bytes).toBeLessThan(FILE_BYTES + 2 * CHUNK_BYTES + 3 * SLACK_BYTES);
    expect(await under.faults()).toEqual([]);
    expect(await under.pack()).toEqual([]);
    for (const version of [v1, v2, v3]) {
      await under.expectServed(version);
      await under.expectFiles(version);
    }
  });

  it.each([
    ['is in use', async () => void knowledge.used.add(v1.cid)],
    ['a channel points at', async () => void knowledge.pointedAt.add(v1.cid)],
  ])('leaves a version whole that %s', async (_, protect) => {
    await put(under.store, v1);
    await put(under.store, v2);
    knowledge.used.add(v2.cid);
    await protect();
    expect(await under.pack()).toEqual([]);
    expect(await under.stateOf(v1)).toBe('whole');
  });

  it('leaves versions whole that were used a moment ago, and all where nobody knows what is in use', async () => {
    await put(under.store, v1);
    await put(under.store, v2);
    expect(await collect(under.store.packing.pack())).toEqual([]);
    await under.reopen({});
    expect(await under.pack()).toEqual([]);
  });

  it.each([
    ['its own chunk', 'own', 17, 0],
    ['its base', path.join('base', 'model.onnx'), 9 * CHUNK_BYTES, 1],
  ])(
    'verify finds a flipped bit in %s, after which that chunk alone is fetched',
    async (_, file, offset, others) => {
      await put(under.store, v1);
      await put(under.store, v2);
      knowledge.used.add(v2.cid);
      await under.pack();
      await under.flip(at('packed', v1.cid, '1', file), offset);
      const found = await collect(under.store.upkeep.verify());
      const damaged = found.filter((one) => one.faults.length > 0).map(({ cid }) => cid);
      expect(damaged).toHaveLength(1 + others);
      expect(damaged).toContain(v1.cid);
      expect(found.find(({ cid }) => cid === v1.cid)?.faults).toEqual([
        expect.stringMatching(/^file 'model.onnx' is packed and has chunk [0-9a-f]{64} damaged$/),
      ]);
      expect(await under.store.get(v1.cid)).toBeUndefined();
      expect(await put(under.store, v1)).toHaveLength(1);
      await under.expectFiles(v1);
      expect(await readdir(at('packed'))).toEqual([]);
    },
  );

  it('get of a version whose own chunks are lost finds that it is damaged, not something else', async () => {
    await put(under.store, v1);
    await put(under.store, v2);
    knowledge.used.add(v2.cid);
    await under.pack();
    await rm(at('packed', v1.cid, '1', 'own'));
    expect(await under.store.get(v1.cid)).toBeUndefined();
    expect(await under.stateOf(v1)).toBe('damaged');
    expect(await put(under.store, v1)).toHaveLength(1);
    await under.expectFiles(v1);
  });

  it('a file that did not change is linked to the packed version and from it', async () => {
    await put(under.store, v1);
    await put(under.store, v2);
    knowledge.used.add(v2.cid);
    await under.pack();
    await under.store.remove(v2.cid);
    const labels = createVersionFixture({
      files: { 'graph.onnx': noise(10, 3), 'labels.txt': noise(99, 7) },
      chunkBytes: CHUNK_BYTES,
    });
    expect(await put(under.store, labels)).toHaveLength(1);
    await under.expectFiles(labels);
  });

  it.skipIf(process.platform !== 'linux')(
    'packs nothing where there are no hard links (needs /dev/shm beside another disk)',
    async () => {
      await put(under.store, v1);
      await put(under.store, v2);
      knowledge.used.add(v2.cid);
      const elsewhere = await mkdtemp('/dev/shm/gpu-swarm-test-');
      try {
        await under.store.close();
        await rm(at('packed'), { recursive: true });
        await symlink(elsewhere, at('packed'));
        await under.reopen();
        expect(await under.pack()).toEqual([]);
        expect(await under.stateOf(v1)).toBe('whole');
        expect(await under.faults()).toEqual([]);
        expect(await readdir(path.join(elsewhere, v1.cid))).toEqual([]);
      } finally {
        await rm(elsewhere, { recursive: true });
      }
    },
  );
});
