import { mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { packModel } from '../../../../src/model/package.ts';
import { lintPackage } from '../../../../src/model/package-lint.ts';
import { addModel } from '../../../support/models.ts';
import { buildModel } from '../../../support/onnx-builder.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

async function folderWith(files: Readonly<Record<string, string | Uint8Array>>) {
  const folder = await createTestFolder();
  for (const [name, content] of Object.entries(files)) {
    await writeFile(path.join(folder.path, name), content);
  }
  return folder;
}

const GOLDEN = JSON.stringify({
  cases: [
    {
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4], data: [1, 2, 3, 4] }],
      outputs: [{ name: 'sum', datatype: 'FP32', shape: [1, 4], data: [2, 3, 4, 5] }],
    },
  ],
});

describe('lintPackage', () => {
  it('finds nothing in a package that packing takes', async () => {
    await using folder = await folderWith({
      'model.onnx': addModel(),
      'golden.json': GOLDEN,
      'README.md': '# Adder',
      'swarm.json': JSON.stringify({
        $schema: '../swarm.schema.json',
        metadata: { modelCard: 'README.md' },
        deployment: { maxBatch: 8 },
      }),
    });
    expect(await lintPackage(folder.path)).toEqual({
      faults: [],
      moreFaults: 0,
      notes: [],
      golden: 'golden.json',
    });
    await using version = await packModel(folder.path);
    expect(version.manifest.golden).toEqual({ file: 'golden.json' });
  });

  it('finds every fault at once, each with its file and field', async () => {
    const model = buildModel({
      inputs: [
        { name: 'x', datatype: 'FP32', shape: [3, 8, 8] },
        { name: 'seq', datatype: 16, shape: [1] },
      ],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [3, 8, 8] }],
      nodes: [
        { op: 'Frob', domain: 'my.ops', inputs: ['x'], outputs: ['a'] },
        { op: 'Add', inputs: ['a', 'w'], outputs: ['y'] },
      ],
      initializers: [
        { name: 'w', datatype: 'FP32', shape: [1], external: { location: 'gone.bin' } },
        { name: 'v', datatype: 'FP32', shape: [1], external: { location: '../v.bin' } },
      ],
    });
    await using folder = await folderWith({
      'model.onnx': model,
      'bad:name.txt': '',
      'golden.json': GOLDEN,
      'swarm.json': JSON.stringify({
        metadata: { modelCard: 'README.md' },
        deployment: { maxBatch: 4 },
        preprocessing: {
          kind: 'image',
          input: 'x',
          width: 8,
          height: 8,
          channels: 'rgb',
          layout: 'NCHW',
          mean: [0, 0],
        },
        answer: { kind: 'argmax', output: 'z' },
      }),
    });
    await mkdir(path.join(folder.path, 'sub'));
    await symlink('/etc/hostname', path.join(folder.path, 'link'));
    const { faults, golden } = await lintPackage(folder.path);
    expect(golden).toBe('golden.json');
    expect(faults.map(({ file, field }) => `${file} ${field}`)).toEqual([
      'bad:name.txt null',
      'link null',
      'sub null',
      'model.onnx null',
      'model.onnx null',
      'model.onnx null',
      'model.onnx null',
      'model.onnx null',
      'swarm.json answer',
      'swarm.json preprocessing.input',
      'swarm.json preprocessing.mean',
      'swarm.json deployment.maxBatch',
      'swarm.json metadata.modelCard',
      'golden.json cases[0]',
    ]);
    expect(faults.map(({ message }) => message).slice(3, 8)).toEqual([
      expect.stringContaining("domain 'my.ops'"),
      expect.stringContaining("external file '../v.bin'"),
      expect.stringContaining("input 'seq'"),
      expect.stringContaining("'gone.bin', which is not beside it"),
      expect.stringContaining("'../v.bin', which is not beside it"),
    ]);
  });

  it('finds every field of swarm.json that contradicts the model, and the vectors that are not for it', async () => {
    await using folder = await folderWith({
      'model.onnx': addModel(),
      'mine.json': GOLDEN.replace('"x"', '"a"'),
      'swarm.json': JSON.stringify({
        golden: { file: 'mine.json' },
        metadata: { modelCard: 'README.md' },
        deployment: { batchDimension: 2 },
        preprocessing: {
          kind: 'image',
          input: 'x',
          width: 8,
          height: 8,
          channels: 'gray',
          layout: 'NCHW',
          std: [1, 1, 1],
        },
        answer: { kind: 'argmax', output: 'z' },
        embedding: { tokenizer: 'tokenizer.json', output: 'y' },
      }),
    });
    const { faults, golden } = await lintPackage(folder.path);
    expect(golden).toBe('mine.json');
    expect(faults.map(({ file, field }) => `${file} ${field}`)).toEqual([
      'swarm.json answer',
      'swarm.json embedding.output',
      'swarm.json preprocessing.input',
      'swarm.json preprocessing.std',
      'swarm.json embedding.tokenizer',
      'swarm.json embedding.tokenizer',
      'swarm.json embedding.tokenizer',
      'swarm.json deployment.batchDimension',
      'swarm.json metadata.modelCard',
      'swarm.json embedding.tokenizer',
      'mine.json cases[0]',
    ]);
    // Packing says the first of them.
    await expect(packModel(folder.path)).rejects.toThrow(faults[0]?.message);
  });

  it('finds all that is wrong in swarm.json alone, and looks at the model all the same', async () => {
    await using folder = await folderWith({
      'model.onnx': buildModel({
        inputs: [{ name: 'x', datatype: 'FP32' }],
        outputs: [{ name: 'y', datatype: 'FP32', shape: [1] }],
        nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
      }),
      'swarm.json': JSON.stringify({
        deployment: { minReplica: 1, maxBatchDelayMs: 3, session: { extra: {} } },
        tolerance: { absolute: -1 },
      }),
    });
    const { faults } = await lintPackage(folder.path);
    expect(faults.map(({ file, field }) => `${file} ${field}`)).toEqual([
      'swarm.json deployment.maxBatchDelayMs',
      'swarm.json deployment.session',
      'swarm.json deployment',
      'swarm.json tolerance.absolute',
      'swarm.json tolerance.relative',
      'model.onnx null',
    ]);
    expect(faults.at(-1)?.message).toContain("input 'x' without a shape");
  });

  it.each<[what: string, files: Readonly<Record<string, string>>, message: RegExp]>([
    ['no model', { 'a.txt': '' }, /^package has no \.onnx file/],
    ['what is no model', { 'model.onnx': 'text' }, /^model\.onnx is not a valid ONNX protobuf/],
    ['a model that is a pointer', { 'model.onnx': 'version https://git-lfs' }, /git lfs pull/],
    ['no JSON', { 'm.onnx': 'text', 'swarm.json': '{' }, /^swarm\.json is not JSON/],
  ])('says the one fault of %s', async (_what, files, message) => {
    await using folder = await folderWith(files);
    const { faults } = await lintPackage(folder.path);
    expect(faults[0]?.message).toMatch(message);
  });

  it('lists a hundred faults and counts the rest', async () => {
    await using folder = await folderWith({
      'model.onnx': buildModel({
        inputs: Array.from({ length: 130 }, (_, index) => ({
          name: `x${index}`,
          datatype: 'FP32',
        })),
        outputs: [{ name: 'x0', datatype: 'FP32', shape: [1] }],
        nodes: [],
      }),
    });
    const { faults, moreFaults } = await lintPackage(folder.path);
    expect([faults.length, moreFaults]).toEqual([100, 30]);
  });

  it('says of a manifest that would be too large what packing would', async () => {
    await using folder = await folderWith({
      'model.onnx': buildModel({
        inputs: [{ name: 'x'.repeat(60_000), datatype: 'FP32', shape: [1] }],
        outputs: [{ name: 'y', datatype: 'FP32', shape: [1] }],
        nodes: [{ op: 'Identity', inputs: ['x'.repeat(60_000)], outputs: ['y'] }],
      }),
      'swarm.json': JSON.stringify({
        classLabels: Array.from({ length: 4_000 }, () => 'a'.repeat(250)),
      }),
    });
    const { faults } = await lintPackage(folder.path);
    expect(faults.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^manifest has \d+ bytes, expected at most 1048576$/),
    ]);
  });

  it('throws only when there is nothing to look at', async () => {
    await expect(lintPackage('/nowhere/at/all')).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
  });
});
