import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { provideGolden } from '../../../../src/cli/golden-vectors.ts';
import { readGoldenFile } from '../../../../src/model/golden-file.ts';
import { packModel } from '../../../../src/model/package.ts';
import { addModel } from '../../../support/models.ts';
import { buildModel, type ModelInit } from '../../../support/onnx-builder.ts';
import { refusal } from '../../../support/refusal.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

const WANTED = { wanted: true, signal: AbortSignal.timeout(60_000) };

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
      expect(await provideGolden(folder.path, WANTED)).toEqual({ file, cases: 2 });
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
    expect(await provideGolden(folder.path, WANTED)).toEqual({ file, cases: 2 });
    const after = await readFile(file, 'utf8');
    expect(after).not.toBe(before);
    await writeFile(path.join(folder.path, 'model.onnx'), buildModel(RENAMED));
    expect(await provideGolden(folder.path, WANTED)).toEqual({ file, cases: 2 });
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
