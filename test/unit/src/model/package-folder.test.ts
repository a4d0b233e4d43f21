import { execFile } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import {
  chooseEntry,
  chooseGolden,
  findPackage,
  measureFile,
} from '../../../../src/model/package-folder.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

async function folderWith(...names: string[]) {
  const folder = await createTestFolder();
  for (const name of names) await writeFile(path.join(folder.path, name), name);
  return folder;
}

const posix = process.platform !== 'win32';

describe('chooseGolden', () => {
  it.each<[names: string[], wanted: string | undefined, chosen: string | undefined]>([
    [['m.onnx'], undefined, undefined],
    [['m.onnx', 'golden.json'], undefined, 'golden.json'],
    [['m.onnx', 'm.golden.json', 'n.golden.json'], undefined, 'm.golden.json'],
    [['m.onnx', 'm.golden.json', 'golden.json'], 'golden.json', 'golden.json'],
    [['m.onnx', 'mine.json'], 'mine.json', 'mine.json'],
    [['m.onnx'], 'mine.json', undefined],
  ])('finds in %j, asked for %s, %s', (names, wanted, chosen) => {
    expect(chooseGolden(new Set(names), 'm.onnx', wanted)).toBe(chosen);
  });

  it('refuses to guess between two', () => {
    const names = new Set(['m.onnx', 'm.golden.json', 'golden.json']);
    expect(() => chooseGolden(names, 'm.onnx', undefined)).toThrow(
      "package has golden vectors in 'golden.json' and in 'm.golden.json', expected one file, or its name as 'golden.file' in swarm.json",
    );
  });
});

describe('findPackage', () => {
  it('takes all files of a folder, sorted, and passes over hidden ones', async () => {
    await using folder = await folderWith('m.onnx', 'LICENCE', 'a.bin', '.DS_Store', '.env');
    await mkdir(path.join(folder.path, '.git'));
    const found = await findPackage(folder.path);
    expect([...found.fileBytes]).toEqual([
      ['LICENCE', 7],
      ['a.bin', 5],
      ['m.onnx', 6],
    ]);
  });

  it('takes a lone .onnx file and nothing beside it', async () => {
    await using folder = await folderWith('Model.ONNX', 'swarm.json', 'a.bin', 'golden.json');
    const found = await findPackage(path.join(folder.path, 'Model.ONNX'));
    expect(found).toEqual({
      folder: folder.path,
      fileBytes: new Map([['Model.ONNX', 10]]),
      goldenFile: 'Model.golden.json',
    });
  });

  it('takes the golden vectors that have their name from a lone .onnx file', async () => {
    await using folder = await folderWith('a.onnx', 'a.golden.json', 'b.golden.json');
    const { fileBytes } = await findPackage(path.join(folder.path, 'a.onnx'));
    expect([...fileBytes.keys()]).toEqual(['a.onnx', 'a.golden.json']);
  });

  it('refuses a file that is no .onnx file', async () => {
    await using folder = await folderWith('model.pb');
    await expect(findPackage(path.join(folder.path, 'model.pb'))).rejects.toThrow(
      "'model.pb' is no package, expected an .onnx file or a folder with one",
    );
  });

  it('says when nothing is there', async () => {
    await expect(findPackage('/nowhere/at/all')).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
      message: "'/nowhere/at/all' does not exist, expected an .onnx file or a folder",
    });
  });

  it('refuses a folder within, by name', async () => {
    await using folder = await folderWith('m.onnx');
    await mkdir(path.join(folder.path, 'weights'));
    await expect(findPackage(folder.path)).rejects.toThrow(
      "package file 'weights' is a folder, expected regular files only",
    );
  });

  it.runIf(posix)(
    'refuses symbolic links, by name (POSIX: Windows needs a privilege)',
    async () => {
      await using folder = await folderWith('real.onnx');
      await symlink('real.onnx', path.join(folder.path, 'link.onnx'));
      const message = "package file 'link.onnx' is a symbolic link, expected the file itself";
      await expect(findPackage(folder.path)).rejects.toThrow(message);
      await expect(findPackage(path.join(folder.path, 'link.onnx'))).rejects.toThrow(message);
    },
  );

  it.runIf(posix)('follows a link to the whole folder (POSIX)', async () => {
    await using folder = await folderWith();
    await mkdir(path.join(folder.path, 'v1'));
    await writeFile(path.join(folder.path, 'v1', 'm.onnx'), '');
    await symlink('v1', path.join(folder.path, 'latest'));
    expect([...(await findPackage(path.join(folder.path, 'latest'))).fileBytes.keys()]).toEqual([
      'm.onnx',
    ]);
  });

  it.runIf(posix)('refuses pipes (POSIX)', async () => {
    await using folder = await folderWith('m.onnx');
    await promisify(execFile)('mkfifo', [path.join(folder.path, 'pipe')]);
    await expect(findPackage(folder.path)).rejects.toThrow("'pipe' is neither file nor folder");
  });

  it.runIf(process.platform === 'linux')(
    'refuses names that another system could not store (Linux stores them)',
    async () => {
      await using colon = await folderWith('m.onnx', 'a:b');
      await expect(findPackage(colon.path)).rejects.toThrow("'a:b' has a name that holds one of");
      await using twins = await folderWith('m.onnx', 'A.bin', 'a.bin');
      await expect(findPackage(twins.path)).rejects.toThrow(
        "'a.bin' is one with 'A.bin' on some systems",
      );
    },
  );

  it('takes 1024 files and refuses one more', async () => {
    const names = Array.from({ length: 1024 }, (_, index) => `${index}`);
    await using folder = await folderWith(...names);
    expect((await findPackage(folder.path)).fileBytes.size).toBe(1024);
    await writeFile(path.join(folder.path, 'one-more'), '');
    await expect(findPackage(folder.path)).rejects.toThrow('1025 files, expected at most 1024');
  });
});

describe('measureFile', () => {
  it('tells a file’s bytes, and nothing of one that is not there', async () => {
    await using folder = await folderWith('abc');
    expect(await measureFile(folder.path, 'abc')).toBe(3);
    expect(await measureFile(folder.path, 'abcd')).toBeUndefined();
  });
});

describe('chooseEntry', () => {
  it('takes the only .onnx file, or the one that is named', () => {
    expect(chooseEntry(['a.bin', 'm.onnx'], undefined)).toBe('m.onnx');
    expect(chooseEntry(['a.onnx', 'b.onnx'], 'b.onnx')).toBe('b.onnx');
  });

  it.each<[names: string[], wanted: string | undefined, message: string]>([
    [['a.bin'], undefined, 'package has no .onnx file, expected one'],
    [
      ['a.onnx', 'b.onnx'],
      undefined,
      "package has 2 .onnx files, expected one, or its name as 'entry' in swarm.json; found 'a.onnx', 'b.onnx'",
    ],
    [
      ['a.onnx'],
      'b.onnx',
      "swarm.json field entry: 'b.onnx' is not an .onnx file of the package, found 'a.onnx'",
    ],
    [['a.bin'], 'a.bin', "'a.bin' is not an .onnx file of the package, found no .onnx file"],
  ])('refuses %j with entry %j', (names, wanted, message) => {
    expect(() => chooseEntry(names, wanted)).toThrow(message);
  });
});
