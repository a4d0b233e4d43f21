import { chmod, cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { provideGolden } from '../../../../src/cli/golden-vectors.ts';
import { readGoldenFile } from '../../../../src/model/golden-file.ts';
import { openPackage } from '../../../../src/model/import/package-import.ts';
import { packModel } from '../../../../src/model/package.ts';
import { type FileTree, writeTree } from '../../../support/file-tree.ts';
import { addModel } from '../../../support/models.ts';
import { buildModel, type ModelInit } from '../../../support/onnx-builder.ts';
import { refusal } from '../../../support/refusal.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

const WANTED = { wanted: true, signal: AbortSignal.timeout(60_000) };

const MADE = { made: true, place: 'package' } as const;

async function folderWith(files: Readonly<Record<string, string | Uint8Array>>) {
  const folder = await createTestFolder();
  for (const [name, content] of Object.entries(files)) {
    await writeFile(path.join(folder.path, name), content);
  }
  return folder;
}

const ADDER = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', 4] }],
  outputs: [{ name: 'sum', datatype: 'FP32', shape: ['batch', 4] }],
} as const;

const RENAMED: ModelInit = {
  inputs: [{ name: 'other', datatype: 'FP32', shape: ['n'] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: ['n'] }],
  nodes: [{ op: 'Neg', inputs: ['other'], outputs: ['y'] }],
};

describe('provideGolden', () => {
  it('runs a model that has none and saves them in its folder: the same bytes, the same CID, each time', async () => {
    const cids: string[] = [];
    const files: Buffer[] = [];
    for (let time = 0; time < 2; time += 1) {
      await using folder = await folderWith({ 'model.onnx': addModel() });
      const file = path.join(folder.path, 'golden.json');
      expect(await provideGolden(folder.path, WANTED)).toEqual({ file, cases: 2, ...MADE });
      expect((await readdir(folder.path)).toSorted()).toEqual(['golden.json', 'model.onnx']);
      files.push(await readFile(file));
      await using version = await packModel(folder.path);
      expect(version.manifest.golden).toEqual({ file: 'golden.json' });
      cids.push(version.cid);
    }
    expect(files[0]).toEqual(files[1]);
    expect(cids[0]).toBe(cids[1]);
    const [golden] = readGoldenFile(files[0] ?? Buffer.of(), {
      fileName: 'golden.json',
      model: ADDER,
    });
    const [x = [], sum = []] = [golden?.inputs, golden?.outputs].map(
      (tensors) => tensors?.[0]?.tensor.toArray() as number[],
    );
    expect(sum).toEqual(x.map((value) => value + 1));
  });

  it('saves those of a lone .onnx file beside it, under its name', async () => {
    await using folder = await folderWith({ 'adder.onnx': addModel(), 'golden.json': 'another’s' });
    const location = path.join(folder.path, 'adder.onnx');
    const made = await provideGolden(location, WANTED);
    expect(made?.file).toBe(path.join(folder.path, 'adder.golden.json'));
    await using version = await packModel(location);
    expect(version.manifest.files.map(({ path }) => path)).toEqual([
      'adder.golden.json',
      'adder.onnx',
    ]);
  });

  it('makes none where there are some, or none are wanted', async () => {
    await using folder = await folderWith({ 'model.onnx': addModel() });
    expect(await provideGolden(folder.path, { wanted: false })).toBeUndefined();
    expect(await readdir(folder.path)).toEqual(['model.onnx']);
    await provideGolden(folder.path, WANTED);
    const before = await readFile(path.join(folder.path, 'golden.json'));
    expect(await provideGolden(folder.path, WANTED)).toBeUndefined();
    expect(await readFile(path.join(folder.path, 'golden.json'))).toEqual(before);
    await expect(provideGolden(folder.path, { wanted: false })).rejects.toEqual(
      refusal(
        'ERR_CONFIG',
        /^--no-golden is given, and the package has golden vectors in 'golden\.json'/,
      ),
    );
  });

  it('makes those anew that it made for a model which has changed, also in its inputs', async () => {
    await using folder = await folderWith({ 'model.onnx': addModel(1) });
    const file = path.join(folder.path, 'golden.json');
    await provideGolden(folder.path, WANTED);
    const before = await readFile(file, 'utf8');
    await writeFile(path.join(folder.path, 'model.onnx'), addModel(2));
    expect(await provideGolden(folder.path, WANTED)).toEqual({ file, cases: 2, ...MADE });
    const after = await readFile(file, 'utf8');
    expect(after).not.toBe(before);
    await writeFile(path.join(folder.path, 'model.onnx'), buildModel(RENAMED));
    expect(await provideGolden(folder.path, WANTED)).toEqual({ file, cases: 2, ...MADE });
    expect(await readFile(file, 'utf8')).toContain('"other"');
    expect(await provideGolden(folder.path, WANTED)).toBeUndefined();
  });

  it('never touches those that somebody gave, and says when they are not for the model', async () => {
    await using folder = await folderWith({ 'model.onnx': addModel(1) });
    const file = path.join(folder.path, 'golden.json');
    await provideGolden(folder.path, WANTED);
    const given = (await readFile(file, 'utf8')).replace(/ {2}"madeFor": "\w+",\n/, '');
    await writeFile(file, given);
    await writeFile(path.join(folder.path, 'model.onnx'), buildModel(RENAMED));
    await expect(provideGolden(folder.path, WANTED)).rejects.toEqual(
      refusal('ERR_INVALID_MODEL', /^golden\.json field cases\[0\]: unknown input 'x'/),
    );
    expect(await readFile(file, 'utf8')).toBe(given);
  });

  it('says what to do about a model that takes nothing made up', async () => {
    await using folder = await folderWith({
      'model.onnx': buildModel({
        inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', 3] }],
        outputs: [{ name: 'y', datatype: 'FP32', shape: ['n'] }],
        // No row of three values has the shape [7].
        nodes: [{ op: 'Reshape', inputs: ['x', 'shape'], outputs: ['y'] }],
        initializers: [{ name: 'shape', datatype: 'INT64', shape: [1], data: [7n] }],
      }),
    });
    await expect(provideGolden(folder.path, WANTED)).rejects.toEqual(
      refusal(
        'ERR_INVALID_MODEL',
        /^golden vectors cannot be made: model takes no made-up inputs: .*; give some in golden\.json, or publish with --no-golden$/,
      ),
    );
    expect(await readdir(folder.path)).toEqual(['model.onnx']);
  });

  it('says of a package that packing would refuse what packing would', async () => {
    await using folder = await folderWith({ 'model.onnx': 'text' });
    await expect(provideGolden(folder.path, WANTED)).rejects.toEqual(
      refusal('ERR_INVALID_MODEL', /^model\.onnx is not a valid ONNX protobuf/),
    );
  });

  it.skipIf(process.getuid?.() === 0 || process.platform === 'win32')(
    'says of a folder that cannot be written to what to do (not as root, whom nothing stops)',
    async () => {
      await using folder = await folderWith({ 'model.onnx': addModel() });
      await chmod(folder.path, 0o500);
      try {
        await expect(provideGolden(folder.path, WANTED)).rejects.toEqual(
          refusal('ERR_STORE', /cannot be written: EACCES; .* --no-golden$/),
        );
      } finally {
        await chmod(folder.path, 0o700);
      }
    },
  );
});

describe('provideGolden, of a package that is staged from a source,', () => {
  /** Publishes as far as the CID; what is made is 'of' this machine, so none is made twice when it is equal. */
  async function publish(root: string, what: string, kept = 'kept') {
    await using opened = await openPackage(path.join(root, what), path.join(root, 'staging'));
    const provided = await provideGolden(opened.location, {
      ...WANTED,
      keep: { ...opened, folder: path.join(root, kept) },
    });
    await using version = await packModel(opened.location);
    return { cid: version.cid, golden: version.manifest.golden?.file, provided };
  }
  /** As another machine, whose last bits differ, would have made them. */
  async function tilt(file: string): Promise<void> {
    const text = await readFile(file, 'utf8');
    const tilted = text.replace(/("data":\[-?\d+\.\d*?)\d([,\]])/, '$17$2');
    await writeFile(file, tilted === text ? text.replace('"data":[', '"data":[ ') : tilted);
  }
  async function rootWith(tree: FileTree) {
    const folder = await createTestFolder();
    await writeTree(folder.path, tree);
    return folder;
  }
  const cached = (name: string) => `models--acme--adder/snapshots/5e3b/${name}`;

  it.each([
    ['a Triton model', 'm', 'm/1/golden.json', { 'm/1/model.onnx': addModel() }],
    [
      'a Triton model whose file lies in a folder of its own',
      'm',
      'm/1/model.onnx/golden.json',
      { 'm/config.pbtxt': 'max_batch_size: 0', 'm/1/model.onnx/model.onnx': addModel() },
    ],
    [
      'a variant in a checkout',
      'm',
      'm/onnx/model.golden.json',
      { 'm/config.json': '{"model_type":"x"}', 'm/onnx/model.onnx': addModel() },
    ],
  ])(
    'saves those of %s where the next import takes them, on any machine',
    async (_, what, at, tree) => {
      await using root = await rootWith(tree);
      const first = await publish(root.path, what);
      const file = path.join(root.path, at);
      expect(first.provided).toEqual({ file, cases: 2, made: true, place: 'source' });
      // Elsewhere: the source alone, nothing that was kept.
      await using elsewhere = await createTestFolder();
      await cp(path.join(root.path, what), path.join(elsewhere.path, what), { recursive: true });
      const second = await publish(elsewhere.path, what);
      expect(second).toEqual({ ...first, provided: undefined });
      // They are what the version is made of, and not made again to the same bytes.
      await tilt(path.join(elsewhere.path, at));
      expect(await publish(elsewhere.path, what)).toMatchObject({ provided: undefined });
      expect((await publish(elsewhere.path, what)).cid).not.toBe(first.cid);
    },
  );

  it('gives each variant of a checkout its own, which are no part of another', async () => {
    await using root = await rootWith({
      'm/config.json': '{"model_type":"x"}',
      'm/model.onnx': addModel(1),
      'm/model_fp16.onnx': addModel(2),
    });
    const of = async (variant?: string) => {
      await using opened = await openPackage(path.join(root.path, 'm'), path.join(root.path, 's'), {
        variant,
      });
      const keep = { ...opened, folder: path.join(root.path, 'kept') };
      const provided = await provideGolden(opened.location, { ...WANTED, keep });
      await using version = await packModel(opened.location);
      return { cid: version.cid, made: provided?.made, files: version.manifest.files.length };
    };
    const plain = await of();
    const half = await of('fp16');
    expect([plain.made, half.made]).toEqual([true, true]);
    expect(await of()).toEqual({ ...plain, made: undefined });
    expect(await of('fp16')).toEqual({ ...half, made: undefined });
    expect([plain.files, half.files]).toEqual([3, 3]);
  });

  it("keeps those of the hub's cache in a folder, by the model, and leaves the cache alone", async () => {
    await using root = await rootWith({ [cached('model.onnx')]: addModel() });
    const what = 'models--acme--adder';
    const first = await publish(root.path, what);
    const { file = '', ...rest } = first.provided ?? {};
    expect(rest).toEqual({ cases: 2, made: true, place: 'folder' });
    expect(path.dirname(file)).toBe(path.join(root.path, 'kept'));
    expect(await readdir(path.join(root.path, cached('')))).toEqual(['model.onnx']);
    expect(first.golden).toBe('model.golden.json');
    await tilt(file);
    const tilted = await publish(root.path, what);
    expect(tilted.cid).not.toBe(first.cid);
    expect(tilted.provided).toEqual({ ...first.provided, made: false });
    expect(await publish(root.path, what)).toEqual(tilted);
    // What is damaged is no vectors, and neither is what was made for another model.
    await writeFile(file, '{"madeFor": ');
    expect(await publish(root.path, what)).toEqual(first);
    await rm(path.join(root.path, cached('model.onnx')));
    await writeFile(path.join(root.path, cached('model.onnx')), addModel(5));
    expect((await publish(root.path, what)).provided?.file).not.toBe(file);
  });

  it('keeps those of a source that cannot be written to in the folder, and takes them from there', async () => {
    await using root = await rootWith({ 'm/1/model.onnx': addModel() });
    await using opened = await openPackage(path.join(root.path, 'm'), path.join(root.path, 's'));
    const keep = {
      goldenName: opened.goldenName,
      homeOf: () => path.join(root.path, 'absent', 'golden.json'),
      folder: path.join(root.path, 'kept'),
    };
    const provided = await provideGolden(opened.location, { ...WANTED, keep });
    expect(provided).toMatchObject({ made: true, place: 'folder' });
    const again = await publish(root.path, 'm');
    expect(again.provided).toMatchObject({ made: false, place: 'source' });
    await using version = await packModel(opened.location);
    expect(again.cid).toBe(version.cid);
  });

  it('makes those anew that a source has of a model which has changed, in its place', async () => {
    await using root = await rootWith({ 'm/1/model.onnx': addModel(1) });
    const first = await publish(root.path, 'm');
    await writeFile(path.join(root.path, 'm/1/model.onnx'), buildModel(RENAMED));
    const second = await publish(root.path, 'm');
    expect(second.provided).toEqual(first.provided);
    expect(await publish(root.path, 'm')).toEqual({ ...second, provided: undefined });
  });

  it('says which folder cannot keep them, and what to give', async () => {
    await using root = await rootWith({ [cached('model.onnx')]: addModel(), kept: 'a file' });
    await expect(publish(root.path, 'models--acme--adder')).rejects.toEqual(
      refusal(
        'ERR_STORE',
        /kept.*\.golden\.json cannot be read: ENOTDIR, expected .* --golden-dir$/,
      ),
    );
  });
});
