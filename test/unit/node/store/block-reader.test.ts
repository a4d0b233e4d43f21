import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it, vi } from 'vitest';
import { BlockReader } from '../../../../node/store/block-reader.ts';
import { ChunkMap } from '../../../../node/store/chunk-map.ts';
import { openIndexLevel } from '../../../../node/store/index-level.ts';
import { packedRoot } from '../../../../node/store/packed-folder.ts';
import { StoreIndex } from '../../../../node/store/store-index.ts';
import { digestText } from '../../../../protocols/digest.ts';
import { noise } from '../../../support/noise.ts';
import { present } from '../../../support/present.ts';
import { createTestFolder } from '../../../support/test-folder.ts';
import { blockOf, createVersionFixture } from '../../../support/version-fixture.ts';

const version = createVersionFixture({ files: { 'model.onnx': noise(900, 1) } });
const { cid, manifest, lists } = version;

it('BlockReader looks again where a chunk is that was packed between its look and its read', async () => {
  await using folder = await createTestFolder();
  const level = await openIndexLevel(path.join(folder.path, 'index'), true);
  try {
    const index = new StoreIndex(level);
    const folders = {
      versions: path.join(folder.path, 'versions'),
      packed: path.join(folder.path, 'packed'),
    };
    const reader = new BlockReader({ index, folders, partials: () => [] });
    const { digest, size } = present(lists[0]?.[0]);
    const key = digestText(digest);
    await index.putVersion({ cid, manifest, blocks: new Map(), places: new ChunkMap(lists).files });
    const before = await index.places(key);
    const root = packedRoot(folders.packed, cid, 1);
    await mkdir(root, { recursive: true });
    await writeFile(path.join(root, 'own'), blockOf(version, digest));
    await index.packVersion(cid, 1, new Map([[key, { path: 'own', offset: 0, size }]]));

    vi.spyOn(index, 'places').mockResolvedValueOnce(before).mockResolvedValueOnce(before);
    expect(await reader.read(digest)).toEqual(blockOf(version, digest));
    expect(await index.version(cid)).toMatchObject({ damaged: false });
  } finally {
    await level.close();
  }
});
