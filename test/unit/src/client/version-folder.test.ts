import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { NotFoundError } from '../../../../protocols/errors.ts';
import { WHOLE } from '../../../../protocols/transfer/index.ts';
import { VersionFolder } from '../../../../src/client/version-folder.ts';
import { fetchVersion } from '../../../../src/swarm/fetch.ts';
import type { BlockConnection } from '../../../../src/swarm/fetch-peers.ts';
import { readTree } from '../../../support/file-tree.ts';
import { present } from '../../../support/present.ts';
import { refusal } from '../../../support/refusal.ts';
import { createTestFolder } from '../../../support/test-folder.ts';
import { createVersionFixture, type VersionFixture } from '../../../support/version-fixture.ts';

const FILES = {
  'model.onnx': new Uint8Array(2500).map((_, index) => index),
  'empty.txt': new Uint8Array(),
  // Two chunks that are equal, and lie in two places.
  'twice.bin': new Uint8Array(2000).fill(7),
};

/** A peer that has the whole version. */
function holderOf({ source }: VersionFixture): BlockConnection {
  return {
    async fetch(digest) {
      const block = await source.read(digest);
      if (block === undefined) throw new NotFoundError('not here');
      return block;
    },
    holdings: async () => WHOLE,
    close: async () => undefined,
  };
}

const fetchInto = (store: VersionFolder, fixture: VersionFixture, signal?: AbortSignal) =>
  fetchVersion({
    cid: fixture.cid,
    peers: ['holder'],
    connect: async () => holderOf(fixture),
    store,
    signal,
  });

describe('VersionFolder', () => {
  it('holds the files of a version once it is fetched, and nothing else', async () => {
    await using folder = await createTestFolder();
    const fixture = createVersionFixture({ files: FILES });
    const out = path.join(folder.path, 'out');
    await fetchInto(new VersionFolder(out), fixture);
    expect(await readTree(out)).toEqual(
      Object.fromEntries(
        Object.entries(FILES).map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]),
      ),
    );
  });

  it('refuses a version whose file is not what its manifest says, though its chunks are', async () => {
    await using folder = await createTestFolder();
    const fixture = createVersionFixture({
      files: FILES,
      change: (manifest) => ({
        ...manifest,
        files: manifest.files.map((file) => ({ ...file, sha256: new Uint8Array(32) })),
      }),
    });
    await expect(
      fetchInto(new VersionFolder(path.join(folder.path, 'out')), fixture),
    ).rejects.toEqual(
      refusal(
        'ERR_INVALID_RECORD',
        /^file 'empty\.txt' of version .* has not the sha256 that its manifest says/,
      ),
    );
  });

  it('overwrites no file that is there', async () => {
    await using folder = await createTestFolder();
    await writeFile(path.join(folder.path, 'model.onnx'), 'precious');
    const fixture = createVersionFixture({ files: FILES });
    await expect(fetchInto(new VersionFolder(folder.path), fixture)).rejects.toEqual(
      refusal('ERR_STORE', /cannot be written to '.*': EEXIST$/),
    );
    expect(await readFile(path.join(folder.path, 'model.onnx'), 'utf8')).toBe('precious');
  });

  it('refuses a version before its first byte when the disk has no room for it', async () => {
    await using folder = await createTestFolder();
    const out = path.join(folder.path, 'out');
    const fixture = createVersionFixture({
      files: FILES,
      change: (manifest) => ({
        ...manifest,
        files: manifest.files.map((file) => ({ ...file, size: 2 ** 50 })),
      }),
    });
    await expect(new VersionFolder(out).begin(fixture.cid, fixture.manifestBytes)).rejects.toEqual(
      refusal('ERR_STORE', /needs [\d.]+ \w+ of disk, found [\d.]+ \w+$/),
    );
    expect(await readTree(out)).toEqual({});
  });

  it('ends the check of a file when it is closed', async () => {
    await using folder = await createTestFolder();
    const fixture = createVersionFixture({ files: FILES });
    const store = new VersionFolder(path.join(folder.path, 'out'));
    const sink = await store.begin(fixture.cid, fixture.manifestBytes);
    await sink.close();
    await expect(sink.finish()).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('lists the chunks that are not in place', async () => {
    await using folder = await createTestFolder();
    const fixture = createVersionFixture({ files: FILES });
    const sink = await new VersionFolder(path.join(folder.path, 'out')).begin(
      fixture.cid,
      fixture.manifestBytes,
    );
    const all = await sink.missing(fixture.lists);
    expect(all.map(({ file, index, offset, size }) => [file, index, offset, size])).toEqual([
      [1, 0, 0, 1000],
      [1, 1, 1000, 1000],
      [1, 2, 2000, 500],
      [2, 0, 0, 1000],
      [2, 1, 1000, 1000],
    ]);
    const first = present(all[0]);
    await sink.write(first, FILES['model.onnx'].subarray(0, 1000));
    expect(await sink.missing(fixture.lists)).toEqual(all.slice(1));
    await sink.close();
  });

  it('is gone when it is discarded', async () => {
    await using folder = await createTestFolder();
    const out = path.join(folder.path, 'out');
    await mkdir(out);
    await new VersionFolder(out).discard();
    await expect(stat(out)).rejects.toThrow('ENOENT');
  });
});
