import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { importPackage, openPackage } from '../../../../../src/model/import/package-import.ts';
import { packModel } from '../../../../../src/model/package.ts';
import { type FileTree, readTree, writeTree } from '../../../../support/file-tree.ts';
import {
  badModels,
  MODEL_LIBRARY,
  MODEL_LIBRARY_ABSENT,
} from '../../../../support/model-library.ts';
import { addModel } from '../../../../support/models.ts';
import { buildModel } from '../../../../support/onnx-builder.ts';
import { refusal } from '../../../../support/refusal.ts';
import { createTestFolder } from '../../../../support/test-folder.ts';

async function withTree(tree: FileTree) {
  const folder = await createTestFolder();
  await writeTree(folder.path, tree);
  return {
    path: folder.path,
    at: (name: string) => path.join(folder.path, name),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

const external = buildModel({
  inputs: [{ name: 'x', datatype: 'FP32', shape: [4] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [4] }],
  nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
  initializers: [{ name: 'w', datatype: 'FP32', shape: [4], external: { location: 'w.bin' } }],
});

describe('importPackage', () => {
  it('copies a lone .onnx file with its external data, and nothing else beside it', async () => {
    await using folder = await withTree({
      'net.onnx': external,
      'w.bin': new Uint8Array(16),
      'other.txt': '',
    });
    const { origin, files } = await importPackage(folder.at('net.onnx'), folder.at('out'));
    expect({ origin, files }).toEqual({ origin: 'file', files: ['net.onnx', 'w.bin'] });
  });

  it('copies a package folder byte for byte, so that it packs to the same version', async () => {
    await using folder = await withTree({
      'p/net.onnx': external,
      'p/w.bin': new Uint8Array(16),
      'p/swarm.json': '{\n"metadata": { "task":"sum" } }',
      'p/notes.txt': 'x',
    });
    const { location } = await importPackage(folder.at('p'), folder.at('out'));
    await using before = await packModel(folder.at('p'));
    await using after = await packModel(location);
    expect(after.cid).toBe(before.cid);
    expect(await readTree(location)).toEqual(await readTree(folder.at('p')));
  });

  it('gives the copies bytes of their own: what is written to one is not in the other', async () => {
    await using folder = await withTree({ 'p/net.onnx': addModel(), 'p/notes.txt': 'before' });
    await importPackage(folder.at('p'), folder.at('out'));
    await writeFile(folder.at('p/notes.txt'), 'after!');
    expect(await readFile(folder.at('out/notes.txt'), 'utf8')).toBe('before');
  });

  it('fills an empty folder, refuses one with something in it, and leaves that alone', async () => {
    await using folder = await withTree({ 'net.onnx': addModel(), 'full/precious.txt': 'x' });
    await mkdir(folder.at('empty'));
    await importPackage(folder.at('net.onnx'), folder.at('empty'));
    await expect(importPackage(folder.at('net.onnx'), folder.at('full'))).rejects.toEqual(
      refusal('ERR_INVALID_INPUT', /has 1 entries, expected a new or an empty one$/),
    );
    expect(await readdir(folder.at('full'))).toEqual(['precious.txt']);
  });

  it.each([
    ['net.onnx', { model: 'a' }, /is one model, expected no name of one \(--model\), found 'a'$/],
    [
      'net.onnx',
      { variant: 'fp16' },
      /^--variant is for a Hugging Face repository, which '.*' is not$/,
    ],
    ['net.onnx', { tritonVersion: 1 }, /^--triton-version is for a Triton model/],
    ['net.onnx', { sha256: 'ab' }, /^--sha256 is for an address/],
    ['ftp://example.org/net.onnx', {}, /^address scheme 'ftp' is not known, expected https$/],
  ])('refuses a choice that means nothing to %s: %j', async (what, choices, fault) => {
    await using folder = await withTree({ 'net.onnx': addModel() });
    const location = what.includes('://') ? what : folder.at(what);
    await expect(importPackage(location, folder.at('out'), choices)).rejects.toEqual(
      refusal('ERR_INVALID_INPUT', fault),
    );
  });

  it('says when nothing is there', async () => {
    await using folder = await withTree({});
    await expect(importPackage(folder.at('gone'), folder.at('out'))).rejects.toEqual(
      refusal(
        'ERR_NOT_FOUND',
        /does not exist, expected an \.onnx file, a folder with a model, or an https address$/,
      ),
    );
  });

  it('ends with the reason of a signal, and leaves nothing', async () => {
    await using folder = await withTree({ 'm/1/model.onnx': addModel() });
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(importPackage(folder.at('m'), folder.at('out'), { signal })).rejects.toThrow(
      'enough',
    );
    expect(await readTree(folder.at('out'))).toEqual({});
  });
});

describe('openPackage', () => {
  it.each(['p', 'p/net.onnx'])('leaves %s where it is, and does not remove it', async (what) => {
    await using folder = await withTree({ 'p/net.onnx': addModel() });
    {
      await using opened = await openPackage(folder.at(what), folder.at('staging'));
      expect(opened).toMatchObject({ location: folder.at(what), staged: false, notes: [] });
    }
    expect(Object.keys(await readTree(folder.path))).toEqual(['p/net.onnx']);
  });

  it('makes a folder for a model in another form, and removes it afterwards', async () => {
    await using folder = await withTree({ 'm/1/model.onnx': addModel() });
    let location = '';
    {
      await using opened = await openPackage(folder.at('m'), folder.at('staging'));
      ({ location } = opened);
      expect(opened.staged).toBe(true);
      await using version = await packModel(location);
      expect(version.manifest.entry).toBe('model.onnx');
      // One file with two names, or a clone: no second copy of what may be gigabytes.
      const [staged, source] = await Promise.all(
        [path.join(location, 'model.onnx'), folder.at('m/1/model.onnx')].map((file) => stat(file)),
      );
      expect(staged?.ino === source?.ino || staged?.nlink === 1).toBe(true);
    }
    await expect(stat(location)).rejects.toThrow('ENOENT');
    expect(Object.keys(await readTree(folder.path))).toEqual(['m/1/model.onnx']);
  });

  it('removes what a process left that is gone, and nothing of one that runs', async () => {
    await using folder = await withTree({
      'm/1/model.onnx': addModel(),
      // No process has a number as high: the systems we run on end at 2^22.
      'staging/import-99999999-abc/model.onnx': 'x',
      [`staging/import-${process.pid}-abc/model.onnx`]: 'x',
      'staging/import-1-abc/model.onnx': 'x',
      'staging/import-mine.txt': 'x',
    });
    await using _opened = await openPackage(folder.at('m'), folder.at('staging'));
    const left = (await readdir(folder.at('staging'))).filter((name) => /-abc$|\.txt$/.test(name));
    expect(left.sort()).toEqual(
      ['import-1-abc', `import-${process.pid}-abc`, 'import-mine.txt'].sort(),
    );
  });
});

const reason = MODEL_LIBRARY_ABSENT === undefined ? '' : `: ${MODEL_LIBRARY_ABSENT}`;

describe.skipIf(MODEL_LIBRARY_ABSENT !== undefined)(
  `importPackage, of the library's bad models${reason}`,
  () => {
    /** Refused by their bytes, before any runtime sees them: by each way in. */
    const refusals: Readonly<Record<string, RegExp>> = {
      'ext-traversal': /keeps weights in external file '.*\.\..*': the name holds one of/,
      'ext-missing':
        /keeps tensor .*, which is not beside it$|keeps weights in '.*', which is not beside it$/,
      'ext-truncated': /up to byte \d+, the file has 4 bytes$/,
      'lfs-pointer':
        /is a Git LFS pointer; run 'git lfs pull'|found a Git LFS pointer; run 'git lfs pull'/,
      'html-404': /found an HTML or XML page/,
      empty: /found an empty file/,
      'no-graph': /expected an ONNX model/,
      'unknown-domain': /of domain/,
      'ort-format': /found an ORT-format model/,
    };

    it.each(badModels().filter(({ name }) => Object.hasOwn(refusals, name)))(
      'refuses $name as a file, in a Triton repository and in a checkout',
      async ({ name, file }) => {
        const folder = path.dirname(path.join(MODEL_LIBRARY, 'bad', file));
        const files: Record<string, Uint8Array> = {};
        for (const entry of await readdir(folder, { withFileTypes: true })) {
          if (entry.isFile()) files[entry.name] = await readFile(path.join(folder, entry.name));
        }
        const below = (prefix: string): FileTree =>
          Object.fromEntries(
            Object.entries(files).map(([key, bytes]) => [`${prefix}/${key}`, bytes]),
          );
        await using tree = await withTree({ ...below('m/1'), ...below('vit/onnx') });
        for (const what of ['m', 'vit', path.posix.join('m/1', path.basename(file))]) {
          await expect(importPackage(tree.at(what), tree.at('out')), what).rejects.toEqual(
            refusal('ERR_INVALID_MODEL', refusals[name] ?? /never/),
          );
          expect(await readTree(tree.at('out'))).toEqual({});
        }
      },
    );
  },
);
