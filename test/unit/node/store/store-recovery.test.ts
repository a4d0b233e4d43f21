import { cp, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PackingStore, revision } from '../../../support/packing-store.ts';
import { present } from '../../../support/present.ts';
import { blockOf } from '../../../support/version-fixture.ts';
import { beginVersion as begin, writeVersion as put } from '../../../support/version-writer.ts';

const [v1, v2] = [revision(1), revision(2)];

describe('recoverFolders, after a crash in packing or unpacking', () => {
  let under: PackingStore;
  const at = (...names: string[]): string => under.at(...names);

  afterEach(async () => {
    await under[Symbol.asyncDispose]();
  });

  beforeEach(async () => {
    under = await PackingStore.open();
    await put(under.store, v1);
    await put(under.store, v2);
    under.knowledge.used.add(v2.cid);
  });
  const expectSound = async (state: string): Promise<void> => {
    await under.reopen();
    expect(await under.faults()).toEqual([]);
    expect(await under.stateOf(v1)).toBe(state);
    await under.expectServed(v1);
    expect(await readdir(at('partial'))).toEqual([]);
    await under.expectFiles(v1);
    expect((await readdir(at('versions'))).toSorted()).toEqual([v1.cid, v2.cid].toSorted());
    expect(await readdir(at('packed'))).toEqual([]);
  };

  it('before the index was told, has the version whole and nothing of its packed form', async () => {
    await mkdir(at('packed', v1.cid, '1', 'base'), { recursive: true });
    await writeFile(at('packed', v1.cid, '1', 'own'), 'begun');
    await expectSound('whole');
  });

  it('before the whole files were gone, has the version packed and not whole', async () => {
    await cp(at('versions', v1.cid), at('kept'), { recursive: true });
    await under.pack();
    await rename(at('kept'), at('versions', v1.cid));
    await under.reopen();
    expect(await readdir(at('versions'))).toEqual([v2.cid]);
    await expectSound('packed');
  });

  it('before an unpacked version was told to the index, has it packed and not whole', async () => {
    await under.pack();
    await mkdir(at('partial', v1.cid, 'lists'), { recursive: true });
    await mkdir(at('versions', v1.cid));
    await writeFile(at('versions', v1.cid, 'model.onnx'), present(v1.files.get('model.onnx')));
    await expectSound('packed');
  });

  it('in the middle of moving to another base, has it on the old one', async () => {
    await under.pack();
    await mkdir(at('packed', v1.cid, '2', 'base'), { recursive: true });
    await under.reopen();
    expect(await readdir(at('packed', v1.cid))).toEqual(['1']);
    await expectSound('packed');
  });

  it('in the middle of the repair of a packed version, fetches no chunk twice', async () => {
    await under.pack();
    await rm(at('packed', v1.cid, '1', 'own'));
    expect(await under.store.get(v1.cid)).toBeUndefined();
    const sink = await begin(under.store, v1);
    const [lost] = await sink.missing(v1.lists);
    await sink.write(present(lost), blockOf(v1, present(lost).digest));
    await sink.close();
    await under.reopen();
    expect(await put(under.store, v1)).toEqual([]);
    await expectSound('whole');
  });

  it('when the packed form was removed by hand, knows nothing of the version', async () => {
    await under.pack();
    await rm(at('packed', v1.cid), { recursive: true });
    await under.reopen();
    expect(await under.store.manifest(v1.cid)).toBeUndefined();
    expect(await put(under.store, v1)).toHaveLength(1);
    await under.expectFiles(v1);
  });
});
