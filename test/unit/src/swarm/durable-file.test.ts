import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { syncFolder, writeDurably } from '../../../../src/swarm/durable-file.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

const OLD = new TextEncoder().encode('old');
const NEW = new TextEncoder().encode('new');

describe('writeDurably', () => {
  it('makes a file, and replaces it, with nothing left beside it', async () => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'a');
    await writeDurably(file, OLD);
    await writeDurably(file, NEW);
    expect(await readFile(file, 'utf8')).toBe('new');
    expect(await readdir(folder.path)).toEqual(['a']);
  });

  it.skipIf(process.platform === 'win32')(
    'gives the file the mode asked for, also when it replaces one',
    async () => {
      await using folder = await createTestFolder();
      const file = path.join(folder.path, 'a');
      await writeFile(file, OLD, { mode: 0o644 });
      await writeDurably(file, NEW, 0o600);
      expect((await stat(file)).mode & 0o777).toBe(0o600);
    },
  );

  it('rejects and leaves nothing when the file cannot be put in place', async () => {
    await using folder = await createTestFolder();
    const taken = path.join(folder.path, 'taken');
    await mkdir(path.join(taken, 'inside'), { recursive: true });
    await expect(writeDurably(taken, NEW)).rejects.toThrow(/EISDIR|EEXIST|ENOTEMPTY|EPERM/);
    expect(await readdir(folder.path)).toEqual(['taken']);
  });

  it('rejects when the folder is not there', async () => {
    await using folder = await createTestFolder();
    await expect(writeDurably(path.join(folder.path, 'no', 'file'), NEW)).rejects.toThrow('ENOENT');
  });

  it('never shows a reader half a file while writers follow each other', async () => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'a');
    await writeDurably(file, new Uint8Array(65_536).fill(0));
    let writing = true;
    const writers = (async () => {
      for (let value = 1; value <= 20; value += 1) {
        await writeDurably(file, new Uint8Array(65_536).fill(value));
      }
      writing = false;
    })();
    const torn: number[] = [];
    while (writing) {
      const bytes = await readFile(file);
      if (bytes.byteLength !== 65_536 || new Set(bytes).size !== 1) torn.push(bytes.byteLength);
    }
    await writers;
    expect(torn).toEqual([]);
  });
});

describe('syncFolder', () => {
  it('takes a folder, and rejects what is not there', async () => {
    await using folder = await createTestFolder();
    await expect(syncFolder(folder.path)).resolves.toBeUndefined();
    await expect(syncFolder(path.join(folder.path, 'no'))).rejects.toThrow('ENOENT');
  });
});
