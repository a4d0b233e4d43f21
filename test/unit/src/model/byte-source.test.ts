import { execFile } from 'node:child_process';
import { appendFile, truncate, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { memorySource, openFileSource } from '../../../../src/model/byte-source.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

const BYTES = Uint8Array.from({ length: 100 }, (_, index) => index);

describe('memorySource', () => {
  it('reads any stretch, the empty one at the end included', async () => {
    const source = memorySource(BYTES);
    expect(source.size).toBe(100);
    expect([...(await source.read(97, 3))]).toEqual([97, 98, 99]);
    expect(await source.read(100, 0)).toHaveLength(0);
  });

  it('refuses to read one byte past its end', async () => {
    await expect(memorySource(BYTES).read(97, 4)).rejects.toMatchObject({
      code: 'ERR_INVALID_MODEL',
      message: expect.stringContaining('Read to byte 101 of the buffer, which ends at byte 100'),
    });
  });
});

describe('openFileSource', () => {
  it('reads stretches of a file, also at the same time', async () => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'x.bin');
    await writeFile(file, BYTES);
    await using source = await openFileSource(file);
    const parts = await Promise.all([source.read(90, 10), source.read(0, 3), source.read(100, 0)]);
    expect(parts.map((part) => [...part])).toEqual([[...BYTES.subarray(90)], [0, 1, 2], []]);
  });

  it('says that a file which became shorter ended early', async () => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'x.bin');
    await writeFile(file, BYTES);
    await using source = await openFileSource(file);
    await truncate(file, 95);
    await expect(source.read(90, 10)).rejects.toThrow('ends at byte 95: did it change meanwhile?');
  });

  it('says what it was asked for when nothing is there', async () => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'nothing.bin');
    await expect(openFileSource(file)).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
      message: `File '${file}' does not exist`,
    });
    await writeFile(path.join(folder.path, 'x'), '');
    await expect(openFileSource(path.join(folder.path, 'x', 'y'))).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
    });
  });

  it('refuses a folder', async () => {
    await using folder = await createTestFolder();
    await expect(openFileSource(folder.path)).rejects.toThrow('is not a regular file');
  });

  it.skipIf(process.platform === 'win32')(
    'refuses a named pipe at once instead of waiting for a writer (no such pipes on Windows)',
    async () => {
      await using folder = await createTestFolder();
      const pipe = path.join(folder.path, 'pipe');
      await promisify(execFile)('mkfifo', [pipe]);
      await expect(openFileSource(pipe)).rejects.toThrow('is not a regular file');
    },
  );

  it('reports a failed read as the disk refusing', async () => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'x.bin');
    await writeFile(file, BYTES);
    const source = await openFileSource(file);
    await source.close();
    await expect(source.read(0, 1)).rejects.toMatchObject({ code: 'ERR_STORE' });
  });
});

describe('FileSource.checkUnchanged', () => {
  it('passes while nobody writes', async () => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'x.bin');
    await writeFile(file, BYTES);
    await using source = await openFileSource(file);
    await source.read(0, 100);
    await expect(source.checkUnchanged()).resolves.toBeUndefined();
  });

  it('notices a longer file, and one of the same length that was written to', async () => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'x.bin');
    await writeFile(file, BYTES);
    await using longer = await openFileSource(file);
    await appendFile(file, 'y');
    await expect(longer.checkUnchanged()).rejects.toThrow(
      'changed meanwhile: it had 100 bytes, now 101',
    );
    await using touched = await openFileSource(file);
    await utimes(file, 1, 1);
    await expect(touched.checkUnchanged()).rejects.toMatchObject({
      code: 'ERR_INVALID_MODEL',
      message: expect.stringContaining('changed meanwhile'),
    });
  });
});
