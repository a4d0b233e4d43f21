import { describe, expect, it } from 'vitest';
import { openIndexLevel } from '../../../../node/store/index-level.ts';
import { WantedVersions } from '../../../../node/store/wanted-versions.ts';
import type { PublisherId, VersionCid } from '../../../../protocols/types.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

const [A, B] = ['a', 'b'] as unknown as [VersionCid, VersionCid];
const publisher = 'publisher' as PublisherId;
const of = (cid: VersionCid, name = 'model') => ({ publisher, name, cid, release: null });
const bytes = (byte: number) => new Uint8Array([byte]);

async function prepare() {
  const folder = await createTestFolder();
  const level = await openIndexLevel(folder.path, true);
  return {
    wanted: new WantedVersions(level),
    async [Symbol.asyncDispose]() {
      await level.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

describe('WantedVersions', () => {
  it('has forgotten what was put before it was deleted, under way or not', async () => {
    await using made = await prepare();
    const { wanted } = made;
    await Promise.all([wanted.put(of(A)), wanted.put(of(A, 'other')), wanted.delete(A)]);
    expect(await wanted.all()).toEqual([]);
    await Promise.all([wanted.delete(A), wanted.put(of(A))]);
    expect(await wanted.all()).toHaveLength(1);
  });

  it('renews the record of every version of a model, and nothing else of them', async () => {
    await using made = await prepare();
    const { wanted } = made;
    await wanted.put(of(A));
    await wanted.put(of(A, 'other'));
    await wanted.put(of(B));
    await Promise.all([
      wanted.put({ ...of(A), cold: true }),
      wanted.delete(B),
      wanted.renew(publisher, 'model', bytes(1)),
    ]);
    expect(await wanted.all()).toEqual([
      { ...of(A), cold: true, release: bytes(1) },
      of(A, 'other'),
    ]);
  });

  it('keeps the record it has where whoever puts a version knows none', async () => {
    await using made = await prepare();
    const { wanted } = made;
    await wanted.put({ ...of(A), release: bytes(1) });
    await wanted.put({ ...of(A), cold: true });
    expect(await wanted.all()).toEqual([{ ...of(A), cold: true, release: bytes(1) }]);
    await wanted.put({ ...of(A), release: bytes(2) });
    expect(await wanted.all()).toEqual([{ ...of(A), release: bytes(2) }]);
  });
});
