import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { createOnnxBackend } from '../../node/backend/onnx-backend.ts';
import { loadVersion } from '../../node/replica/version-load.ts';
import type { VersionStore } from '../../node/store/version-store.ts';
import { digestText, sha256 } from '../../protocols/digest.ts';
import { Tensor } from '../../protocols/tensor.ts';
import { WHOLE } from '../../protocols/transfer/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { packModel } from '../../src/model/package.ts';
import { fetchVersion } from '../../src/swarm/fetch.ts';
import { keepUntilTestEnds } from '../support/kept.ts';
import { PackingStore } from '../support/packing-store.ts';
import { present } from '../support/present.ts';
import { SUM_SHAPE, sumModel } from '../support/sum-model.ts';
import { createTestFolder } from '../support/test-folder.ts';
import { CrowdPeer, joinCrowd } from '../support/transfer-crowd.ts';

const MIB = 1024 ** 2;

describe('A version that another, which differs in one tensor, took the place of', () => {
  const keep = keepUntilTestEnds();

  /** Packs a model and brings it into a store, as a node fetches it; the bytes that came. */
  const publish = async (store: VersionStore, bytes: Uint8Array) => {
    const folder = keep(await createTestFolder());
    const file = path.join(folder.path, 'model.onnx');
    await writeFile(file, bytes);
    await using packed = await packModel(file);
    const { cid, source } = packed;
    let movedBytes = 0;
    await fetchVersion({
      cid,
      store,
      peers: ['publisher'],
      connect: async () => ({
        fetch: async (digest) => {
          const block = present(await source.read(digest));
          movedBytes += block.byteLength;
          return block;
        },
        holdings: async () => WHOLE,
        close: async () => undefined,
      }),
    });
    return { cid, movedBytes };
  };

  /** The digest of what a version makes of zeros. */
  const answer = async (store: VersionStore, cid: VersionCid): Promise<string> => {
    const work = keep(await createTestFolder());
    const backend = createOnnxBackend({ threads: 1, workDir: path.join(work.path, 'run') });
    keep({ [Symbol.asyncDispose]: async () => backend.stop() });
    const stored = present(await store.get(cid));
    const signal = AbortSignal.timeout(30_000);
    const logger = { warn: () => undefined };
    const model = await loadVersion(backend, { cid, ...stored }, { signal, logger });
    const tensor = Tensor.from('FP32', SUM_SHAPE, new Float32Array(1024 * 1024));
    const { outputs } = await model.run([{ name: 'x', tensor }], { limitMs: 20_000 });
    return digestText(sha256(present(outputs[0]).tensor.bytes));
  };

  it('is stored as what changed, given to another node block by block, and answers rightly after a rollback', async () => {
    const under = keep(await PackingStore.open());
    const [old, changed] = [sumModel(3), sumModel(33)];
    const first = await publish(under.store, old.bytes);
    const wholeBytes = present((await under.entries()).get(first.cid)).bytes;
    const second = await publish(under.store, changed.bytes);
    under.knowledge.used.add(second.cid);
    await under.pack();

    const bytes = [...(await under.entries()).values()].map((entry) => entry.bytes);
    const stored = bytes.reduce((total, one) => total + one, 0);
    // Chunk lists and the manifest come too, and are not in these files.
    expect(stored - wholeBytes).toBeLessThan(second.movedBytes + MIB / 8);
    expect((await under.entries()).get(first.cid)?.state).toBe('packed');

    const seeder = keep(await CrowdPeer.start('seeder', under.store));
    const member = keep(await joinCrowd('member'));
    await fetchVersion({
      cid: first.cid,
      store: member.store,
      peers: ['seeder'],
      connect: async (_, signal) => member.peer.connect(seeder, signal),
    });
    expect((await under.entries()).get(first.cid)?.state).toBe('packed');
    expect(await answer(member.store, first.cid)).toEqual(old.sum);

    under.knowledge.used.add(first.cid);
    expect(await answer(under.store, first.cid)).toEqual(old.sum);
    expect(await answer(under.store, second.cid)).toEqual(changed.sum);
    under.knowledge.used.delete(second.cid);
    expect(await under.pack()).toMatchObject([{ cid: second.cid, packed: true }]);
    expect(await under.faults()).toEqual([]);
  });
});
