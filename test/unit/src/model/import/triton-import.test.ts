import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type ImportChoices,
  importPackage,
} from '../../../../../src/model/import/package-import.ts';
import { type FileTree, readTree, writeTree } from '../../../../support/file-tree.ts';
import { addModel } from '../../../../support/models.ts';
import { buildModel } from '../../../../support/onnx-builder.ts';
import { refusal } from '../../../../support/refusal.ts';
import { createTestFolder } from '../../../../support/test-folder.ts';

const CONFIG = `
platform: "onnxruntime_onnx"
max_batch_size: 8
input [ { name: "x" data_type: TYPE_FP32 dims: [ 4 ] } ]
output [ { name: "sum" data_type: TYPE_FP32 dims: [ 4 ] } ]
`;

const LABELLED = CONFIG.replace('name: "sum"', 'name: "sum" label_filename: "labels.txt"');

/** `y = x + w`, its four weights in a file of their own. */
const external = (location: string): Uint8Array =>
  buildModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', 4] }],
    outputs: [{ name: 'sum', datatype: 'FP32', shape: ['batch', 4] }],
    nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['sum'] }],
    initializers: [{ name: 'w', datatype: 'FP32', shape: [4], external: { location } }],
  });

async function withTree(tree: FileTree) {
  const folder = await createTestFolder();
  await writeTree(folder.path, tree);
  const out = path.join(folder.path, 'out');
  return {
    out,
    run: (what: string, choices: ImportChoices = {}) =>
      importPackage(path.join(folder.path, what), out, choices),
    settings: async () =>
      JSON.parse(await readFile(path.join(out, 'swarm.json'), 'utf8')) as unknown,
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

describe('importPackage, given a Triton model,', () => {
  it('makes a package of the version with the highest number', async () => {
    await using made = await withTree({
      'm/config.pbtxt': CONFIG,
      'm/2/model.onnx': addModel(2),
      'm/10/model.onnx': addModel(10),
      'm/9/model.onnx': addModel(9),
      'm/010/model.onnx': addModel(99),
      'm/latest/model.onnx': addModel(98),
    });
    const { origin, files, notes } = await made.run('m');
    expect({ origin, files, notes }).toEqual({
      origin: 'triton',
      files: ['model.onnx', 'swarm.json'],
      notes: [],
    });
    expect(await readFile(path.join(made.out, 'model.onnx'))).toEqual(Buffer.from(addModel(10)));
    expect(await made.settings()).toEqual({ deployment: { maxBatch: 8 } });
  });

  it('makes a package of the version that is asked for', async () => {
    await using made = await withTree({
      'm/config.pbtxt': CONFIG,
      'm/1/model.onnx': addModel(1),
      'm/2/model.onnx': addModel(2),
    });
    await made.run('m', { tritonVersion: 1 });
    expect(await readFile(path.join(made.out, 'model.onnx'))).toEqual(Buffer.from(addModel(1)));
  });

  it('lists the versions when it lacks the one that is asked for', async () => {
    await using made = await withTree({
      'm/config.pbtxt': CONFIG,
      'm/1/model.onnx': '',
      'm/3/model.onnx': '',
    });
    await expect(made.run('m', { tritonVersion: 2 })).rejects.toEqual(
      refusal('ERR_NOT_FOUND', /lacks version 2, found: 1, 3$/),
    );
    await expect(stat(made.out)).rejects.toThrow('ENOENT');
  });

  it('takes the model that is named of a repository, and lists them when none is', async () => {
    await using made = await withTree({
      'repository/b/config.pbtxt': CONFIG,
      'repository/b/1/model.onnx': addModel(2),
      'repository/a/1/model.onnx': addModel(1),
      'repository/notes/todo.txt': '',
    });
    await expect(made.run('repository')).rejects.toEqual(
      refusal(
        'ERR_INVALID_INPUT',
        /has 2 models, expected the name of one \(--model\), found: a, b$/,
      ),
    );
    await expect(made.run('repository', { model: 'c' })).rejects.toEqual(
      refusal('ERR_NOT_FOUND', /has no model 'c', found: a, b$/),
    );
    await made.run('repository', { model: 'b' });
    expect(await readFile(path.join(made.out, 'model.onnx'))).toEqual(Buffer.from(addModel(2)));
  });

  it('takes the only model of a repository without its name', async () => {
    await using made = await withTree({ 'repository/a/1/model.onnx': addModel() });
    expect(await made.run('repository')).toMatchObject({
      origin: 'triton',
      files: ['model.onnx'],
      notes: ['there is no config.pbtxt, nothing was mapped'],
    });
  });

  it('takes all files of the version folder: external data, and models beside the one that is loaded', async () => {
    await using made = await withTree({
      'm/config.pbtxt': `${CONFIG} default_model_filename: "net.onnx"`,
      'm/1/net.onnx': external('w.bin'),
      'm/1/w.bin': new Uint8Array(16).fill(1),
      'm/1/other.onnx': addModel(),
      'm/1/.hidden': 'x',
    });
    const { files } = await made.run('m');
    expect(files).toEqual(['net.onnx', 'other.onnx', 'swarm.json', 'w.bin']);
    expect(await made.settings()).toEqual({ entry: 'net.onnx', deployment: { maxBatch: 8 } });
  });

  it("takes a model that is a folder of its file's name", async () => {
    await using made = await withTree({
      'm/config.pbtxt': CONFIG,
      'm/1/model.onnx/model.onnx': external('w.bin'),
      'm/1/model.onnx/w.bin': new Uint8Array(16),
    });
    expect((await made.run('m')).files).toEqual(['model.onnx', 'swarm.json', 'w.bin']);
  });

  it('makes class labels and an answer of a labels file', async () => {
    await using made = await withTree({
      'm/config.pbtxt': LABELLED,
      'm/labels.txt': 'cat\r\ndog\r\n\r\nbird, or not\r\n',
      'm/1/model.onnx': addModel(),
    });
    const { files } = await made.run('m');
    expect(files).toEqual(['model.onnx', 'swarm.json']);
    expect(await made.settings()).toEqual({
      deployment: { maxBatch: 8 },
      classLabels: ['cat', 'dog', '', 'bird, or not'],
      answer: { kind: 'argmax', output: 'sum' },
    });
  });

  it.each([
    [
      'a\nb\nc\n',
      /field output\[0\]\.label_filename: 'labels\.txt' has 3 labels, output 'sum' has 4 classes$/,
    ],
    ['', /labels file 'labels\.txt' has wrong labels/],
    [`${'x'.repeat(257)}\nb\nc\nd\n`, /labels file 'labels\.txt' has wrong labels: field \[0\]: /],
  ])('refuses labels that do not fit', async (labels, fault) => {
    await using made = await withTree({
      'm/config.pbtxt': LABELLED,
      'm/labels.txt': labels,
      'm/1/model.onnx': addModel(),
    });
    await expect(made.run('m')).rejects.toEqual(refusal('ERR_INVALID_MODEL', fault));
  });

  it.each([
    [
      '../labels.txt',
      /field output\[0\]\.label_filename: file name '\.\.\/labels\.txt' holds one of/,
    ],
    [
      'gone.txt',
      /field output\[0\]\.label_filename: file 'gone\.txt' is not beside config\.pbtxt$/,
    ],
    ['linked.txt', /package file 'linked\.txt' is a symbolic link, expected the file itself$/],
  ])('refuses labels in %s', async (name, fault) => {
    await using made = await withTree({
      'labels.txt': 'a\nb\nc\nd\n',
      'm/config.pbtxt': LABELLED.replace('labels.txt', name),
      'm/linked.txt': { link: '../labels.txt' },
      'm/1/model.onnx': addModel(),
    });
    await expect(made.run('m')).rejects.toEqual(refusal('ERR_INVALID_MODEL', fault));
  });

  it('takes card and licence along, and notes what it leaves', async () => {
    await using made = await withTree({
      'm/config.pbtxt': CONFIG,
      'm/README.md': '# Sum',
      'm/LICENSE': 'MIT',
      'm/calibration.table': 'x',
      'm/1/model.onnx': addModel(),
    });
    const { files, notes } = await made.run('m');
    expect(files).toEqual(['LICENSE', 'README.md', 'model.onnx', 'swarm.json']);
    expect(notes).toEqual(["file 'calibration.table' beside config.pbtxt is left out"]);
    expect(await made.settings()).toMatchObject({ metadata: { modelCard: 'README.md' } });
  });

  it('puts the configuration over a swarm.json in the version folder, field by field', async () => {
    const given = { metadata: { task: 'sum' }, deployment: { maxBatch: 4, minReplicas: 1 } };
    await using made = await withTree({
      'm/config.pbtxt': CONFIG,
      'm/1/model.onnx': addModel(),
      'm/1/swarm.json': JSON.stringify(given),
    });
    await made.run('m');
    expect(await made.settings()).toEqual({
      metadata: { task: 'sum' },
      deployment: { maxBatch: 8, minReplicas: 1 },
    });
  });

  it('keeps a swarm.json byte for byte that says the same already', async () => {
    const given = '{ "deployment":\n\t{ "maxBatch": 8 } }';
    await using made = await withTree({
      'm/config.pbtxt': CONFIG,
      'm/1/model.onnx': addModel(),
      'm/1/swarm.json': given,
    });
    await made.run('m');
    expect(await readFile(path.join(made.out, 'swarm.json'), 'utf8')).toBe(given);
  });

  it.each<[what: string, tree: FileTree, fault: RegExp]>([
    [
      'a link as the model',
      { 'm/1/model.onnx': { link: '../../elsewhere.onnx' } },
      /^package file 'model\.onnx' is a symbolic link/,
    ],
    [
      'a link beside the model',
      { 'm/1/model.onnx': addModel(), 'm/1/w.bin': { link: '/etc/passwd' } },
      /^package file 'w\.bin' is a symbolic link/,
    ],
    [
      'a link as the configuration',
      { 'm/config.pbtxt': { link: '../elsewhere.onnx' }, 'm/1/model.onnx': addModel() },
      /^package file 'config\.pbtxt' is a symbolic link/,
    ],
    [
      'a link to a card',
      { 'm/1/model.onnx': addModel(), 'm/README.md': { link: '../elsewhere.onnx' } },
      /^package file 'README\.md' is a symbolic link/,
    ],
    [
      'a folder beside the model',
      { 'm/1/model.onnx': addModel(), 'm/1/sub/w.bin': '' },
      /^package file 'sub' is a folder/,
    ],
    [
      'external data above its folder',
      { 'm/1/model.onnx': external('../w.bin'), 'm/w.bin': 'x' },
      /external file '\.\.\/w\.bin': the name holds/,
    ],
    [
      'external data at an absolute path',
      { 'm/1/model.onnx': external('/etc/passwd') },
      /external file '\/etc\/passwd': the name holds/,
    ],
    [
      'external data that is missing',
      { 'm/1/model.onnx': external('w.bin') },
      /keeps tensor 'w' in 'w\.bin', which is not beside it$/,
    ],
    [
      'an LFS pointer as the model',
      { 'm/1/model.onnx': 'version https://git-lfs.github.com/spec/v1\noid sha256:0\n' },
      /^package file 'model\.onnx' is a Git LFS pointer; run 'git lfs pull'/,
    ],
    [
      'an LFS pointer as external data',
      {
        'm/1/model.onnx': external('w.bin'),
        'm/1/w.bin': 'version https://git-lfs.github.com/spec/v1\n',
      },
      /^package file 'w\.bin' is a Git LFS pointer/,
    ],
    [
      'no model file',
      { 'm/config.pbtxt': '', 'm/1/model.plan': '' },
      /^version 1 of the Triton model lacks 'model\.onnx', found 'model\.plan'$/,
    ],
    [
      'a model file of another kind',
      { 'm/config.pbtxt': 'default_model_filename: "m.plan"', 'm/1/m.plan': '' },
      /field default_model_filename: expected the name of an \.onnx file, found 'm\.plan'$/,
    ],
    [
      'a model file elsewhere',
      { 'm/config.pbtxt': 'default_model_filename: "../m.onnx"', 'm/1/x': '' },
      /field default_model_filename: file name '\.\.\/m\.onnx' holds one of/,
    ],
    [
      'two names that are one on some systems',
      { 'm/1/model.onnx': addModel(), 'm/1/A.bin': '', 'm/1/a.bin': '' },
      /^package file 'a\.bin' is one with 'A\.bin' on some systems$/,
    ],
    [
      'a configuration that is no text',
      { 'm/config.pbtxt': Uint8Array.of(255, 254), 'm/1/model.onnx': addModel() },
      /^config\.pbtxt is not UTF-8$/,
    ],
  ])('refuses %s, by name, and leaves nothing behind', async (_what, tree, fault) => {
    await using made = await withTree({ 'elsewhere.onnx': addModel(), ...tree });
    await expect(made.run('m')).rejects.toEqual(refusal('ERR_INVALID_MODEL', fault));
    expect(await readTree(made.out)).toEqual({});
  });

  it('takes a configuration of 1 MiB, and none that is larger', async () => {
    const fill = (bytes: number): string => `#${'x'.repeat(bytes - 1)}`;
    await using made = await withTree({
      'm/config.pbtxt': fill(1024 * 1024),
      'm/1/model.onnx': addModel(),
      'n/config.pbtxt': fill(1024 * 1024 + 1),
      'n/1/model.onnx': addModel(),
    });
    await expect(made.run('n')).rejects.toEqual(
      refusal('ERR_LIMIT', 'config.pbtxt has 1048577 bytes, expected at most 1048576'),
    );
    expect((await made.run('m')).files).toEqual(['model.onnx']);
  });
});
