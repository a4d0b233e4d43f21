import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseExactJson } from '../../../../protocols/exact-json.ts';
import {
  decodeText,
  parseContents,
  readBounded,
  readBoundedFile,
} from '../../../../src/cli/bounded-file.ts';
import { refusal } from '../../../support/refusal.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

const options = { what: 'the file', maxBytes: 10, signal: new AbortController().signal };

describe('readBoundedFile', () => {
  it('reads a file of the bound and refuses one byte more', async () => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'file');
    await writeFile(file, 'a'.repeat(10));
    expect((await readBoundedFile(file, options)).toString()).toBe('a'.repeat(10));
    await writeFile(file, 'a'.repeat(11));
    await expect(readBoundedFile(file, options)).rejects.toEqual(
      refusal('ERR_LIMIT', 'the file has more than 10 bytes, expected at most that many'),
    );
  });

  it('stops at the bound of a device that has no end', async () => {
    await expect(readBoundedFile('/dev/zero', options)).rejects.toEqual(
      refusal('ERR_LIMIT', /more/),
    );
  });

  it('says of a missing file and of a folder what they are', async () => {
    await using folder = await createTestFolder();
    await expect(readBoundedFile(path.join(folder.path, 'none'), options)).rejects.toEqual(
      refusal('ERR_NOT_FOUND', 'the file does not exist'),
    );
    await expect(readBoundedFile(folder.path, options)).rejects.toEqual(
      refusal('ERR_INVALID_INPUT', 'the file is a folder, expected a file'),
    );
  });

  it('rejects with the reason of its signal', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(readBoundedFile('/dev/zero', { ...options, signal })).rejects.toThrow('enough');
  });
});

describe('readBounded', () => {
  it('stops reading at the bound and closes the stream', async () => {
    let closed = false;
    async function* endless() {
      try {
        for (;;) yield 'aaaa';
      } finally {
        closed = true;
      }
    }
    await expect(readBounded(endless(), options)).rejects.toEqual(refusal('ERR_LIMIT', /10 bytes/));
    expect(closed).toBe(true);
  });
});

describe('decodeText', () => {
  it('refuses bytes that are not UTF-8, in place of making other text of them', () => {
    expect(decodeText(Buffer.from('é'), 'the file')).toBe('é');
    expect(() => decodeText(Buffer.from('é', 'latin1'), 'the file')).toThrow(
      'the file is not UTF-8',
    );
  });
});

describe('parseContents', () => {
  it('says in which file that is which cannot be read, and where in it', () => {
    const parse = () => parseContents('request file x.json', () => parseExactJson('{"a" 1}'));
    expect(parse).toThrow(
      refusal('ERR_INVALID_INPUT', /^request file x\.json: not JSON: .* position 5 /),
    );
  });

  it('leaves what is no fault of the input as it is', () => {
    const bug = new TypeError('a bug');
    const parse = () =>
      parseContents('the file', () => {
        throw bug;
      });
    expect(parse).toThrow(bug);
  });
});
