import { mkdir, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ensureFolder } from '../../../../src/model/ensured-folder.ts';
import { refusal } from '../../../support/refusal.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

describe('ensureFolder', () => {
  it('makes a folder with those above it, and leaves one that is there as it is', async () => {
    await using folder = await createTestFolder();
    const deep = path.join(folder.path, 'a', 'b', 'c');
    await ensureFolder(deep, 0o700);
    const made = await stat(deep);
    expect(made.isDirectory()).toBe(true);
    if (process.platform !== 'win32') expect(made.mode & 0o777).toBe(0o700);
    await writeFile(path.join(deep, 'kept'), '');
    await ensureFolder(deep);
    expect((await stat(path.join(deep, 'kept'))).isFile()).toBe(true);
  });

  it('lets several make the same folders at once', async () => {
    await using folder = await createTestFolder();
    const deep = path.join(folder.path, 'a', 'b', 'c');
    await Promise.all(Array.from({ length: 20 }, () => ensureFolder(deep)));
    expect((await stat(deep)).isDirectory()).toBe(true);
  });

  it('takes a link to a folder for one', async () => {
    await using folder = await createTestFolder();
    await mkdir(path.join(folder.path, 'real'));
    await symlink(path.join(folder.path, 'real'), path.join(folder.path, 'link'), 'dir');
    await ensureFolder(path.join(folder.path, 'link', 'new'));
    expect((await stat(path.join(folder.path, 'real', 'new'))).isDirectory()).toBe(true);
  });

  it('says of a file in the way, and of one above, what is wrong', async () => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'file');
    await writeFile(file, '');
    await expect(ensureFolder(file)).rejects.toEqual(
      refusal(
        'ERR_STORE',
        `folder '${file}' cannot be made: something else than a folder is there (EEXIST)`,
      ),
    );
    await expect(ensureFolder(path.join(file, 'below'))).rejects.toEqual(
      refusal('ERR_STORE', /a part of its path is no folder \(ENOTDIR\)$/),
    );
  });

  it('says of a name that no file system has room for that it is too long', async () => {
    await using folder = await createTestFolder();
    await expect(ensureFolder(path.join(folder.path, 'n'.repeat(4096)))).rejects.toEqual(
      refusal('ERR_STORE', /its name is too long \(ENAMETOOLONG\)$/),
    );
  });

  it.runIf(process.platform === 'linux').each(['/proc/x', '/proc/x/y', '/sys/x', '/dev/full/x'])(
    'ends with an error where nothing can be made: %s',
    async (folder) => {
      await expect(ensureFolder(folder)).rejects.toEqual(
        refusal('ERR_STORE', /^folder '.*' cannot be made: \w.* \([A-Z]+\)$/),
      );
    },
  );
});
