import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openIndexLevel, SYNC } from '../../../../node/store/index-level.ts';
import { ReleaseSequences } from '../../../../node/store/release-sequences.ts';
import { refusal } from '../../../support/refusal.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

describe('openIndexLevel', () => {
  it('refuses with ERR_STORE an index of another format', async () => {
    await using folder = await createTestFolder();
    const level = await openIndexLevel(folder.path, true);
    await level.batch().put('format', '2').write(SYNC);
    await level.close();
    await expect(openIndexLevel(folder.path, true)).rejects.toEqual(
      refusal(
        'ERR_STORE',
        /has format "2", expected '1': another release of this program made it$/,
      ),
    );
  });

  it('goes on with a folder in which a crash came before the first write', async () => {
    await using folder = await createTestFolder();
    for (const name of ['LOCK', 'LOG', 'MANIFEST-000001']) {
      await writeFile(path.join(folder.path, name), '');
    }
    const level = await openIndexLevel(folder.path, true);
    expect(level.status).toBe('open');
    await level.close();
  });

  it('makes no index where there must be one', async () => {
    await using folder = await createTestFolder();
    await expect(openIndexLevel(path.join(folder.path, 'index'), false)).rejects.toEqual(
      refusal('ERR_STORE', /is damaged .*does not exist.*: restore it from a backup/),
    );
  });
});

describe('ReleaseSequences', () => {
  it('forgets beyond its bound the models whose records expire first', async () => {
    await using folder = await createTestFolder();
    const level = await openIndexLevel(folder.path, true);
    const sequences = new ReleaseSequences(level);
    for (const expiresAtMs of [30, 10, 20]) {
      await sequences.put(`p/${expiresAtMs}`, {
        sequence: 1,
        hash: new Uint8Array(32),
        expiresAtMs,
      });
    }
    await sequences.trim(3);
    expect(await sequences.get('p/10')).toBeDefined();
    await sequences.trim(2);
    const left = await Promise.all(['p/10', 'p/20', 'p/30'].map((key) => sequences.get(key)));
    expect(left.map((seen) => seen?.expiresAtMs)).toEqual([undefined, 20, 30]);
    await level.close();
  });
});
