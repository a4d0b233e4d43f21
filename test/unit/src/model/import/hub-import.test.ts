import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type ImportChoices,
  importPackage,
} from '../../../../../src/model/import/package-import.ts';
import { type FileTree, readTree, writeTree } from '../../../../support/file-tree.ts';
import { buildModel } from '../../../../support/onnx-builder.ts';
import { refusal } from '../../../../support/refusal.ts';
import { createTestFolder } from '../../../../support/test-folder.ts';

/** `logits [batch, 2]` of a picture `[batch, 3, height, width]`, with its weights in another file where one is named. */
const classifier = (weights?: string): Uint8Array =>
  buildModel({
    inputs: [{ name: 'pixel_values', datatype: 'FP32', shape: ['batch', 3, 'height', 'width'] }],
    outputs: [{ name: 'logits', datatype: 'FP32', shape: ['batch', 2] }],
    nodes: [
      { op: 'GlobalAveragePool', inputs: ['pixel_values'], outputs: ['pooled'] },
      { op: 'Flatten', inputs: ['pooled'], outputs: ['flat'] },
      { op: 'MatMul', inputs: ['flat', 'w'], outputs: ['logits'] },
    ],
    initializers: [
      weights === undefined
        ? { name: 'w', datatype: 'FP32', shape: [3, 2], data: [1, 0, 0, 1, 1, 1] }
        : { name: 'w', datatype: 'FP32', shape: [3, 2], external: { location: weights } },
    ],
  });

const WEIGHTS = new Uint8Array(24).fill(1);
const POINTER = 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n';

const CARD = `---
# front matter
license: apache-2.0
pipeline_tag: image-classification
tags:
  - license: not this one
---
# Cats and dogs
`;

const CHECKOUT: FileTree = {
  'config.json': JSON.stringify({ model_type: 'vit', id2label: { 0: 'cat', 1: 'dog' } }),
  'preprocessor_config.json': JSON.stringify({
    do_resize: true,
    size: { height: 224, width: 224 },
    resample: 2,
    do_rescale: true,
    rescale_factor: 0.00392156862745098,
    do_normalize: true,
    image_mean: [0.5, 0.5, 0.5],
    image_std: [0.5, 0.5, 0.5],
  }),
  'README.md': CARD,
  LICENSE: 'Apache 2.0',
  'tokenizer.json': '{}',
  'model.safetensors': 'x',
  'model.safetensors.index.json': '{}',
  'pytorch_model.bin': 'x',
  '.gitattributes': 'x',
  'onnx/model.onnx': classifier(),
  'onnx/model_fp16.onnx': classifier('model_fp16.onnx_data'),
  'onnx/model_fp16.onnx_data': WEIGHTS,
};

const REVISION = '5e3b8fcb8f0e4e0c8c5e5b7d8a1d0c9b8a7f6e5d';
const CACHED = 'models--acme--vit-tiny';

/** The same files as the hub's cache lays them out: links of a revision into blobs. */
function cacheOf(tree: FileTree, revision = REVISION): Record<string, FileTree[string]> {
  const cache: Record<string, FileTree[string]> = {};
  for (const [index, [name, content]] of Object.entries(tree).entries()) {
    cache[`${CACHED}/blobs/${index}`] = content;
    const up = '../'.repeat(name.split('/').length + 1);
    cache[`${CACHED}/snapshots/${revision}/${name}`] = { link: `${up}blobs/${index}` };
  }
  return cache;
}

async function withTree(tree: FileTree) {
  const folder = await createTestFolder();
  await writeTree(folder.path, tree);
  const out = path.join(folder.path, 'out');
  return {
    out,
    folder: folder.path,
    run: (what: string, choices: ImportChoices = {}) =>
      importPackage(path.join(folder.path, what), out, choices),
    settings: async () =>
      JSON.parse(await readFile(path.join(out, 'swarm.json'), 'utf8')) as unknown,
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

const inCheckout = (tree: FileTree): FileTree =>
  Object.fromEntries(Object.entries(tree).map(([name, content]) => [`vit/${name}`, content]));

const MAPPED = {
  classLabels: ['cat', 'dog'],
  answer: { kind: 'argmax', output: 'logits' },
  preprocessing: {
    kind: 'image',
    input: 'pixel_values',
    width: 224,
    height: 224,
    resize: 'fill',
    channels: 'rgb',
    layout: 'NCHW',
    kernel: 'linear',
    scale: 0.00392156862745098,
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.5, 0.5],
  },
  metadata: { modelCard: 'README.md', licence: 'apache-2.0', task: 'image-classification' },
};

const COMPANIONS = ['LICENSE', 'README.md', 'config.json', 'preprocessor_config.json'];

describe('importPackage, given a Hugging Face repository,', () => {
  it('makes a package of a checkout: the model, what goes with it, and settings', async () => {
    await using made = await withTree(inCheckout(CHECKOUT));
    expect(await made.run('vit')).toMatchObject({
      origin: 'hugging-face',
      files: [...COMPANIONS, 'tokenizer.json', 'model.onnx', 'swarm.json'].sort(),
      notes: [],
    });
    expect(await made.settings()).toEqual(MAPPED);
  });

  it('makes a package of a variant, with its external data', async () => {
    await using made = await withTree(inCheckout(CHECKOUT));
    const { files } = await made.run('vit', { variant: 'fp16' });
    expect(files).toContain('model_fp16.onnx_data');
    expect(files).not.toContain('model.onnx');
    expect(await readFile(path.join(made.out, 'model_fp16.onnx'))).toEqual(
      Buffer.from(classifier('model_fp16.onnx_data')),
    );
  });

  it('follows the links of the cache, and says which revision it is', async () => {
    await using made = await withTree({
      ...cacheOf(CHECKOUT),
      [`${CACHED}/refs/main`]: `${REVISION}\n`,
    });
    const { files } = await made.run(CACHED, { variant: 'fp16' });
    expect(files).toContain('model_fp16.onnx_data');
    expect((await stat(path.join(made.out, 'model_fp16.onnx'))).isFile()).toBe(true);
    expect(await made.settings()).toMatchObject({
      metadata: { source: `hf:acme/vit-tiny@${REVISION}` },
    });
  });

  it('takes the folder of a revision, and a model of the whole cache by its name', async () => {
    await using made = await withTree({
      ...cacheOf(CHECKOUT),
      'models--acme--other/snapshots/1/config.json': '{}',
    });
    await expect(made.run('')).rejects.toEqual(
      refusal('ERR_INVALID_INPUT', /has 2 models, .* found: acme\/other, acme\/vit-tiny$/),
    );
    expect((await made.run('', { model: 'acme/vit-tiny' })).origin).toBe('hugging-face');
    const again = path.join(made.folder, 'again');
    const revision = path.join(made.folder, CACHED, 'snapshots', REVISION);
    await importPackage(revision, again);
    expect(await readTree(again)).toEqual(await readTree(made.out));
  });

  it('takes main of several revisions, and lists them when there is no main', async () => {
    await using made = await withTree({
      ...cacheOf(CHECKOUT),
      [`${CACHED}/snapshots/other/onnx/model.onnx`]: classifier(),
    });
    await expect(made.run(CACHED)).rejects.toEqual(
      refusal('ERR_INVALID_INPUT', /has 2 revisions and none is main, .*: 5e3b8fc.*, other$/),
    );
    await writeTree(made.folder, { [`${CACHED}/refs/main`]: REVISION });
    expect((await made.run(CACHED)).files).toContain('tokenizer.json');
  });

  it.each<[what: string, link: string, code: 'ERR_INVALID_MODEL' | 'ERR_NOT_FOUND', fault: RegExp]>(
    [
      [
        'out of the cache',
        '../../../../secret.onnx',
        'ERR_INVALID_MODEL',
        /^file 'onnx\/model\.onnx' is a link out of '.*models--acme--vit-tiny'$/,
      ],
      [
        'into another model of the cache',
        '../../../../models--other--x/blobs/1',
        'ERR_INVALID_MODEL',
        /is a link out of '.*models--acme--vit-tiny'$/,
      ],
      ['to an absolute path', '/etc/passwd', 'ERR_INVALID_MODEL', /is a link out of/],
      [
        'to a folder',
        '../../../blobs',
        'ERR_INVALID_MODEL',
        /^file 'onnx\/model\.onnx' is no regular file$/,
      ],
      [
        'to nothing',
        '../../../blobs/gone',
        'ERR_NOT_FOUND',
        /^'onnx\/model\.onnx' is a link to a file that is not there: was the download completed\?$/,
      ],
    ],
  )('refuses a link %s', async (_what, link, code, fault) => {
    await using made = await withTree({
      'secret.onnx': classifier(),
      'models--other--x/blobs/1': classifier(),
      [`${CACHED}/blobs/1`]: 'x',
      [`${CACHED}/snapshots/${REVISION}/onnx/model.onnx`]: { link },
    });
    await expect(made.run(CACHED)).rejects.toEqual(refusal(code, fault));
    expect(await readTree(made.out)).toEqual({});
  });

  it('refuses a link to another link that leads out of the cache', async () => {
    await using made = await withTree({
      'secret.onnx': classifier(),
      [`${CACHED}/blobs/1`]: { link: '../../secret.onnx' },
      [`${CACHED}/snapshots/${REVISION}/onnx/model.onnx`]: { link: '../../../blobs/1' },
    });
    await expect(made.run(CACHED)).rejects.toEqual(
      refusal('ERR_INVALID_MODEL', /is a link out of/),
    );
  });

  it('refuses a folder of the snapshot that is a link out of the cache', async () => {
    await using made = await withTree({
      'elsewhere/model.onnx': classifier(),
      [`${CACHED}/snapshots/${REVISION}/onnx`]: { link: '../../../elsewhere' },
    });
    await expect(made.run(CACHED)).rejects.toEqual(
      refusal('ERR_INVALID_MODEL', /is a link out of/),
    );
  });

  it('follows no link of a checkout', async () => {
    await using made = await withTree({
      'vit/real.onnx': classifier(),
      'vit/onnx/model.onnx': { link: '../real.onnx' },
    });
    await expect(made.run('vit')).rejects.toEqual(
      refusal(
        'ERR_INVALID_MODEL',
        "file 'onnx/model.onnx' is a symbolic link, expected the file itself",
      ),
    );
  });

  it.each<[what: string, tree: FileTree, name: string]>([
    ['the model', { 'vit/onnx/model.onnx': POINTER }, 'model.onnx'],
    [
      'its external data',
      { 'vit/onnx/model.onnx': classifier('w.bin'), 'vit/onnx/w.bin': POINTER },
      'w.bin',
    ],
  ])('refuses an LFS pointer in place of %s, and says what to do', async (_what, tree, name) => {
    await using made = await withTree(tree);
    await expect(made.run('vit')).rejects.toEqual(
      refusal(
        'ERR_INVALID_MODEL',
        `package file '${name}' is a Git LFS pointer; run 'git lfs pull' to get the file it stands for`,
      ),
    );
  });

  it.each<[what: string, location: string, fault: RegExp]>([
    ['above its folder', '../config.json', /external file '\.\.\/config\.json': the name holds/],
    ['that is missing', 'w.bin', /^model\.onnx keeps weights in 'w\.bin', which is not beside it$/],
  ])('refuses external data %s', async (_what, location, fault) => {
    await using made = await withTree({
      'vit/config.json': '{}',
      'vit/onnx/model.onnx': classifier(location),
    });
    await expect(made.run('vit')).rejects.toEqual(refusal('ERR_INVALID_MODEL', fault));
  });

  it('lists the variants when it lacks the one that is asked for, or none is the default', async () => {
    await using made = await withTree({
      'vit/onnx/model_int8.onnx': classifier(),
      'vit/onnx/decoder.onnx': classifier(),
    });
    await expect(made.run('vit', { variant: 'q4' })).rejects.toEqual(
      refusal('ERR_NOT_FOUND', /has no variant 'q4', found: decoder, int8$/),
    );
    await expect(made.run('vit')).rejects.toEqual(
      refusal('ERR_INVALID_INPUT', /has no model\.onnx, .* found: decoder, int8$/),
    );
    expect((await made.run('vit', { variant: 'decoder' })).files).toEqual(['decoder.onnx']);
  });

  it('takes a flat folder by its config.json, and one that has a swarm.json as the package it is', async () => {
    await using made = await withTree({
      'flat/config.json': JSON.stringify({ architectures: ['X'] }),
      'flat/model.onnx': classifier(),
      'package/config.json': JSON.stringify({ architectures: ['X'] }),
      'package/model.onnx': classifier(),
      'package/swarm.json': '{}',
      'plain/config.json': JSON.stringify({ anything: 1 }),
      'plain/model.onnx': classifier(),
    });
    expect((await made.run('flat')).origin).toBe('hugging-face');
    expect(
      (await importPackage(path.join(made.folder, 'package'), path.join(made.folder, 'p'))).origin,
    ).toBe('folder');
    expect(
      (await importPackage(path.join(made.folder, 'plain'), path.join(made.folder, 'q'))).origin,
    ).toBe('folder');
  });
});
