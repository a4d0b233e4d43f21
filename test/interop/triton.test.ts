import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Manifest } from '../../protocols/manifest/index.ts';
import { exportPackage } from '../../src/model/export/package-export.ts';
import { importPackage } from '../../src/model/import/package-import.ts';
import { packModel } from '../../src/model/package.ts';
import type { PackageSettings } from '../../src/model/package-file.ts';
import { readTree, writeTree } from '../support/file-tree.ts';
import { buildModel } from '../support/onnx-builder.ts';
import { present } from '../support/present.ts';
import { PYTHON_PACKAGES_ABSENT, runPython } from '../support/python-tools.ts';
import { createTestFolder } from '../support/test-folder.ts';

/** What Triton's library reads in a configuration, by its own names of the fields, and how it writes the same. */
interface TritonReading {
  readonly fields: {
    readonly backend?: string;
    readonly max_batch_size?: number;
    readonly input?: readonly TritonTensor[];
    readonly output?: readonly TritonTensor[];
    readonly default_model_filename?: string;
    readonly [field: string]: unknown;
  };
  readonly written: readonly string[];
}

/** 64-bit integers are text in protobuf's JSON. */
interface TritonTensor {
  readonly name: string;
  readonly data_type: string;
  readonly dims?: readonly string[];
  readonly reshape?: { readonly shape?: readonly string[] };
  readonly label_filename?: string;
}

interface Package {
  readonly model: Uint8Array;
  readonly settings: PackageSettings;
  readonly files?: Readonly<Record<string, Uint8Array>>;
  /** What of the configuration comes from the settings. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly without: readonly string[];
}

const PACKAGES: Readonly<Record<string, Package>> = {
  'says nothing': {
    model: buildModel({
      inputs: [
        { name: 'x', datatype: 'FP32', shape: ['batch', 3, null, 8] },
        { name: 'half', datatype: 'FP16', shape: [2] },
        { name: 'big', datatype: 'UINT64', shape: [1, 2, 3] },
      ],
      outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 3, null, 8] }],
      nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
    }),
    settings: {},
    fields: {},
    without: ['max_batch_size', 'instance_group'],
  },
  'is batched on GPUs': {
    model: buildModel({
      inputs: [{ name: 'x', datatype: 'INT64', shape: ['rows', 4] }],
      outputs: [{ name: 'y', datatype: 'INT64', shape: ['rows', 4] }],
      nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
      initializers: [{ name: 'w', datatype: 'INT64', shape: [4], external: { location: 'w.bin' } }],
    }),
    files: { 'w.bin': new Uint8Array(32).fill(1) },
    settings: {
      deployment: {
        maxBatch: 16,
        maxBatchDelayMs: 0.25,
        maxQueued: 64,
        providers: ['cuda', 'cpu'],
        session: { graphOptimizationLevel: 'extended', intraOpThreads: 2, memoryPattern: false },
      },
    },
    fields: {
      max_batch_size: 16,
      dynamic_batching: {
        max_queue_delay_microseconds: '250',
        default_queue_policy: { max_queue_size: 64 },
      },
      optimization: {
        graph: { level: 1 },
        execution_accelerators: { gpu_execution_accelerator: [{ name: 'cuda' }] },
      },
      parameters: {
        intra_op_thread_count: { string_value: '2' },
        enable_mem_pattern: { string_value: '0' },
      },
    },
    without: ['instance_group'],
  },
  'has scalars, text and labels': {
    model: buildModel({
      inputs: [
        { name: 'text "in"\n', datatype: 'BYTES', shape: [null] },
        { name: 'flag', datatype: 'BOOL', shape: [] },
      ],
      outputs: [
        { name: 'text', datatype: 'BYTES', shape: [null] },
        { name: 'scores', datatype: 'FP32', shape: [3] },
      ],
      nodes: [
        { op: 'Identity', inputs: ['text "in"\n'], outputs: ['text'] },
        { op: 'Identity', inputs: ['w'], outputs: ['scores'] },
      ],
      initializers: [{ name: 'w', datatype: 'FP32', shape: [3], data: [1, 2, 3] }],
    }),
    settings: {
      classLabels: ['north', 'süd', 'ost "east"'],
      answer: { kind: 'argmax', output: 'scores' },
      deployment: { providers: ['cpu'] },
    },
    fields: { instance_group: [{ kind: 'KIND_CPU' }] },
    without: ['max_batch_size'],
  },
};

/** Ours and Triton's words. */
const DATA_TYPES: Readonly<Record<string, string>> = { BYTES: 'TYPE_STRING' };

describe.skipIf(PYTHON_PACKAGES_ABSENT !== undefined)(
  `Triton's own protobuf (${PYTHON_PACKAGES_ABSENT ?? 'tritonclient'})`,
  () => {
    let folder: Awaited<ReturnType<typeof createTestFolder>>;
    const at = (...names: string[]) => path.join(folder.path, ...names);
    const readings = new Map<string, TritonReading>();
    const manifests = new Map<string, Manifest>();

    beforeAll(async () => {
      folder = await createTestFolder();
      const names = Object.keys(PACKAGES);
      const texts = await Promise.all(
        Object.entries(PACKAGES).map(async ([name, { model, settings, files }]) => {
          await writeTree(at(name, 'package'), {
            'model.onnx': model,
            'swarm.json': JSON.stringify(settings),
            ...files,
          });
          await using version = await packModel(at(name, 'package'));
          manifests.set(name, version.manifest);
          await exportPackage(at(name, 'package'), at(name, 'triton'), { format: 'triton' });
          return readFile(at(name, 'triton', 'config.pbtxt'), 'utf8');
        }),
      );
      const found = (await runPython('triton_config.py', { texts })) as readonly TritonReading[];
      for (const [index, name] of names.entries()) readings.set(name, present(found[index]));
    });
    afterAll(() => folder?.[Symbol.asyncDispose]());

    test.each(Object.keys(PACKAGES))(
      'reads in the export of a model that %s what its manifest says',
      (name) => {
        const { inputs, outputs } = present(manifests.get(name));
        const { fields } = present(readings.get(name));
        const given = present(PACKAGES[name]);
        expect(fields).toMatchObject({ backend: 'onnxruntime', ...given.fields });
        expect(Object.keys(fields).filter((field) => given.without.includes(field))).toEqual([]);
        const batched = (fields.max_batch_size ?? 0) > 0;
        const expected = (specs: Manifest['inputs']) =>
          specs.map((spec) => ({
            name: spec.name,
            data_type: DATA_TYPES[spec.datatype] ?? `TYPE_${spec.datatype}`,
            ...dimensionsOf(spec.shape.slice(batched ? 1 : 0)),
          }));
        const plain = (tensors: readonly TritonTensor[] = []) =>
          tensors.map(({ label_filename: _labels, ...tensor }) => tensor);
        expect(plain(fields.input)).toEqual(expected(inputs));
        expect(plain(fields.output)).toEqual(expected(outputs));
        const labelled = fields.output?.filter(({ label_filename: file }) => file !== undefined);
        const { answer } = given.settings;
        expect(labelled?.map((tensor) => tensor.name)).toEqual(
          answer === undefined ? [] : [answer.output],
        );
      },
    );

    test.each(Object.keys(PACKAGES))(
      'writes a model that %s in three ways, of which each imports as ours does',
      async (name) => {
        const { written } = present(readings.get(name));
        expect(written).toHaveLength(3);
        // Without our own settings beside the model the configuration alone says what is imported.
        await rm(at(name, 'triton', '1', 'swarm.json'));
        const importAs = async (text: string | undefined, out: string) => {
          if (text !== undefined) await writeFile(at(name, 'triton', 'config.pbtxt'), text);
          await mkdir(at(name, 'imported'), { recursive: true });
          const { notes } = await importPackage(at(name, 'triton'), at(name, 'imported', out));
          return { notes, files: await readTree(at(name, 'imported', out)) };
        };
        const ours = await importAs(undefined, 'ours');
        for (const [index, text] of written.entries()) {
          expect(await importAs(text, `theirs-${index}`)).toEqual(ours);
        }
      },
    );

    test('leaves out a batch size of 0, which the swarm.json beside it still says', async () => {
      const at = (name: string) => path.join(folder.path, 'no batches', name);
      await writeTree(at('package'), {
        'model.onnx': present(PACKAGES['says nothing']).model,
        'swarm.json': JSON.stringify({ deployment: { maxBatch: 1 } }),
      });
      await exportPackage(at('package'), at('triton'), { format: 'triton' });
      const config = path.join(at('triton'), 'config.pbtxt');
      const text = await readFile(config, 'utf8');
      expect(text).toContain('max_batch_size: 0');
      const [reading] = (await runPython('triton_config.py', { texts: [text] })) as TritonReading[];
      const [written = ''] = present(reading).written;
      expect(written).not.toContain('max_batch_size');
      await writeFile(config, written);
      await importPackage(at('triton'), at('imported'));
      expect(await readTree(at('imported'))).toEqual(await readTree(at('package')));
    });
  },
);

/** As protobuf's JSON has them; Triton has no scalars, one of its elements is reshaped to none. */
function dimensionsOf(shape: Manifest['inputs'][number]['shape']): Partial<TritonTensor> {
  if (shape.length === 0) return { dims: ['1'], reshape: {} };
  return { dims: shape.map((size) => (typeof size === 'number' ? String(size) : '-1')) };
}
