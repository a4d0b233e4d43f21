import { open, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { hashFile, readRange, writeRange } from '../../../../node/store/file-range.ts';
import { sha256 } from '../../../../protocols/digest.ts';
import { noise } from '../../../support/noise.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

describe('writeRange and readRange', () => {
  it('write in any order and read what was written, with zeros in the holes', async () => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'a');
    await writeRange(file, 6, Uint8Array.of(7, 8));
    await writeRange(file, 0, Uint8Array.of(1, 2));
    expect([...(await readFile(file))]).toEqual([1, 2, 0, 0, 0, 0, 7, 8]);
    expect(await readRange(file, 5, 2)).toEqual(Uint8Array.of(0, 7));
    expect(await readRange(file, 8, 0)).toEqual(new Uint8Array());
  });

  it('reach past 4 GiB', async () => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'a');
    const offset = 5 * 2 ** 30;
    await writeRange(file, offset, Uint8Array.of(1, 2, 3));
    expect((await stat(file)).size).toBe(offset + 3);
    expect(await readRange(file, offset, 3)).toEqual(Uint8Array.of(1, 2, 3));
  });

  it('find nothing where the file ends before the range does, or is not there', async () => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'a');
    expect(await readRange(file, 0, 1)).toBeUndefined();
    await writeRange(file, 0, Uint8Array.of(1, 2));
    expect(await readRange(file, 1, 1)).toEqual(Uint8Array.of(2));
    expect(await readRange(file, 1, 2)).toBeUndefined();
  });
});

describe('hashFile', () => {
  it.each([0, 1, 2 ** 20, 2 ** 20 + 1])('hashes a file of %i bytes', async (size) => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'a');
    const bytes = noise(size, 1);
    await writeRange(file, 0, bytes);
    await using handle = await open(file, 'r');
    expect(await hashFile(handle)).toEqual(sha256(bytes));
  });

  it('ends with what its checkpoint throws', async () => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'a');
    await writeRange(file, 0, noise(2 ** 21, 1));
    await using handle = await open(file, 'r');
    let steps = 0;
    const hashed = hashFile(handle, () => {
      steps += 1;
      if (steps === 2) throw new Error('closed');
    });
    await expect(hashed).rejects.toThrow('closed');
  });
});
