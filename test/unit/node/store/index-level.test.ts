import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openIndexLevel, SYNC } from '../../../../node/store/index-level.ts';
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
