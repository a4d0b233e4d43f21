import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { exportPackage } from '../../../../../src/model/export/package-export.ts';
import { importPackage } from '../../../../../src/model/import/package-import.ts';
import { packModel } from '../../../../../src/model/package.ts';
import { type FileTree, readTree, writeTree } from '../../../../support/file-tree.ts';
import {
  libraryModels,
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
    at: (name: string) => path.join(folder.path, name),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

async function cidOf(location: string): Promise<string> {
  await using version = await packModel(location);
  return version.cid;
}

const external = buildModel({
  inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', 4] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 4] }],
  nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
  initializers: [{ name: 'w', datatype: 'FP32', shape: [4], external: { location: 'w.bin' } }],
});

/** A package with everything that an export must carry. */
const WHOLE: FileTree = {
  'p/net.onnx': external,
  'p/other.onnx': addModel(),
  'p/w.bin': new Uint8Array(16).fill(7),
  'p/README.md': '# Card',
  'p/labels.txt': 'not those of Triton',
  'p/empty.txt': '',
  'p/swarm.json': JSON.stringify({
    entry: 'net.onnx',
    metadata: { task: 'sum', modelCard: 'README.md' },
    deployment: { minReplicas: 1, maxBatch: 16, maxBatchDelayMs: 1, providers: ['cpu'] },
    classLabels: ['a', 'b', 'c', 'd'],
    answer: { kind: 'argmax', output: 'y' },
  }),
};

describe('exportPackage', () => {
  it('gives the files back, which pack to the same version', async () => {
    await using folder = await withTree(WHOLE);
    const { files, notes } = await exportPackage(folder.at('p'), folder.at('out'), {
      format: 'dir',
    });
    expect({ files, notes }).toEqual({
      files: [
        'README.md',
        'empty.txt',
        'labels.txt',
        'net.onnx',
        'other.onnx',
        'swarm.json',
        'w.bin',
      ],
      notes: [],
    });
    expect(await readTree(folder.at('out'))).toEqual(await readTree(folder.at('p')));
    expect(await cidOf(folder.at('out'))).toBe(await cidOf(folder.at('p')));
  });

  it('gives a lone .onnx file back with its external data alone', async () => {
    await using folder = await withTree(WHOLE);
    const { files } = await exportPackage(folder.at('p/net.onnx'), folder.at('out'), {
      format: 'dir',
    });
    expect(files).toEqual(['net.onnx', 'w.bin']);
    expect(await cidOf(folder.at('out'))).toBe(await cidOf(folder.at('p/net.onnx')));
  });

  it('makes a Triton model that imports back to the same files and the same version', async () => {
    await using folder = await withTree(WHOLE);
    const { files } = await exportPackage(folder.at('p'), folder.at('t'), { format: 'triton' });
    expect(files).toEqual(
      [
        ...Object.keys(WHOLE).map((name) => name.replace(/^p\//, '1/')),
        'config.pbtxt',
        'labels.txt',
      ].sort(),
    );
    expect(await readFile(folder.at('t/labels.txt'), 'utf8')).toBe('a\nb\nc\nd\n');
    const { origin, notes } = await importPackage(folder.at('t'), folder.at('back'));
    expect({ origin, notes }).toEqual({ origin: 'triton', notes: [] });
    expect(await readTree(folder.at('back'))).toEqual(await readTree(folder.at('p')));
    expect(await cidOf(folder.at('back'))).toBe(await cidOf(folder.at('p')));
  });

  it('brings a Triton model of others to the same files over import, export, import', async () => {
    await using folder = await withTree({
      't/config.pbtxt': `
        max_batch_size: 8
        input { name: "x" data_type: TYPE_FP32 dims: 4 }
        output { name: "sum" data_type: TYPE_FP32 dims: 4 label_filename: "l.txt" }
        instance_group { count: 2 kind: KIND_GPU }
        dynamic_batching { max_queue_delay_microseconds: 100 default_queue_policy { max_queue_size: 16 } }
        optimization { graph { level: 2 } execution_accelerators { gpu_execution_accelerator { name: "cuda" } } }
        parameters { key: "intra_op_thread_count" value { string_value: "3" } }
        parameters { key: "enable_mem_pattern" value { string_value: "0" } }`,
      't/l.txt': 'a\r\nb\r\nc\r\nd',
      't/LICENSE': 'MIT',
      't/3/model.onnx': addModel(),
      't/3/extra.json': '{}',
    });
    await importPackage(folder.at('t'), folder.at('first'));
    await exportPackage(folder.at('first'), folder.at('exported'), { format: 'triton' });
    await importPackage(folder.at('exported'), folder.at('second'));
    expect(await readTree(folder.at('second'))).toEqual(await readTree(folder.at('first')));
    expect(await cidOf(folder.at('second'))).toBe(await cidOf(folder.at('first')));
    await exportPackage(folder.at('second'), folder.at('again'), { format: 'triton' });
    expect(await readTree(folder.at('again'))).toEqual(await readTree(folder.at('exported')));
  });

  it('lets a change of the exported configuration come back', async () => {
    await using folder = await withTree(WHOLE);
    await exportPackage(folder.at('p'), folder.at('t'), { format: 'triton' });
    const config = await readFile(folder.at('t/config.pbtxt'), 'utf8');
    await writeFile(
      folder.at('t/config.pbtxt'),
      config.replace('max_batch_size: 16', 'max_batch_size: 32'),
    );
    await importPackage(folder.at('t'), folder.at('back'));
    const settings = JSON.parse(await readFile(folder.at('back/swarm.json'), 'utf8')) as unknown;
    expect(settings).toMatchObject({
      metadata: { task: 'sum' },
      deployment: { maxBatch: 32, minReplicas: 1 },
    });
  });

  it('refuses a folder with something in it, and leaves nothing when it fails', async () => {
    await using folder = await withTree({
      ...WHOLE,
      'full/x': 'x',
      'bad/a.onnx': 'x',
      'bad/swarm.json': '{"entri":1}',
    });
    await expect(
      exportPackage(folder.at('p'), folder.at('full'), { format: 'dir' }),
    ).rejects.toEqual(refusal('ERR_INVALID_INPUT', /expected a new or an empty one$/));
    await expect(
      exportPackage(folder.at('bad'), folder.at('out'), { format: 'triton' }),
    ).rejects.toMatchObject({
      code: 'ERR_INVALID_MODEL',
    });
    expect(await readTree(folder.at('out'))).toEqual({});
  });
});

const reason = MODEL_LIBRARY_ABSENT === undefined ? '' : `: ${MODEL_LIBRARY_ABSENT}`;

describe.skipIf(MODEL_LIBRARY_ABSENT !== undefined)(
  `exportPackage, of the library's models${reason}`,
  () => {
    it.each(libraryModels())(
      'brings $name there and back as the same version',
      async ({ file }) => {
        await using folder = await createTestFolder();
        const at = (name: string): string => path.join(folder.path, name);
        const model = path.join(MODEL_LIBRARY, file);
        await exportPackage(model, at('t'), { format: 'triton' });
        const { notes } = await importPackage(at('t'), at('back'));
        const told = /callers (?:send|get) \[\]|no answer can carry|--loop-limit/;
        expect(notes.filter((note) => !told.test(note))).toEqual([]);
        expect(await cidOf(at('back'))).toBe(await cidOf(model));
      },
    );
  },
);
