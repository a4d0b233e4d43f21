import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createOnnxBackend } from '../../node/backend/onnx-backend.ts';
import { formatElements } from '../../protocols/json-elements.ts';
import { type NamedTensor, Tensor } from '../../protocols/tensor.ts';
import { readGoldenFile } from '../../src/model/golden-file.ts';
import { type FileTree, readTree, writeTree } from '../support/file-tree.ts';
import { describeFiles } from '../support/model-folder.ts';
import { lookupModel } from '../support/models.ts';
import { buildModel } from '../support/onnx-builder.ts';
import { PYTHON_PACKAGES_ABSENT, runPython } from '../support/python-tools.ts';
import { runSwarm } from '../support/swarm-command.ts';
import { createTestFolder } from '../support/test-folder.ts';

const EXAMPLES = fileURLToPath(new URL('../../examples/models', import.meta.url));

const LIMIT_MS = 30_000;

/** Two runtimes of one version on one machine: the same kernels. */
const CLOSE = 6;

interface PythonTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: readonly unknown[];
}

interface Sample {
  readonly files: FileTree;
  readonly inputs: readonly NamedTensor[];
}

const SAMPLES: Readonly<Record<string, Sample>> = {
  'weights in a file of their own': {
    files: {
      'model.onnx': lookupModel(8),
      'weights.bin': new Uint8Array(
        Float32Array.from({ length: 8 * 1024 }, (_, i) => i / 1000).buffer,
      ),
    },
    inputs: [{ name: 'index', tensor: Tensor.from('INT64', [2], [7n, 0n]) }],
  },
  'text, booleans and a scalar': {
    files: {
      'model.onnx': buildModel({
        inputs: [
          { name: 'text', datatype: 'BYTES', shape: ['n'] },
          { name: 'flags', datatype: 'BOOL', shape: ['n'] },
          { name: 'half', datatype: 'FP16', shape: [] },
        ],
        outputs: [
          { name: 'same', datatype: 'BYTES', shape: ['n'] },
          { name: 'not', datatype: 'BOOL', shape: ['n'] },
          { name: 'twice', datatype: 'FP16', shape: [] },
        ],
        nodes: [
          { op: 'Identity', inputs: ['text'], outputs: ['same'] },
          { op: 'Not', inputs: ['flags'], outputs: ['not'] },
          { op: 'Add', inputs: ['half', 'half'], outputs: ['twice'] },
        ],
      }),
    },
    inputs: [
      { name: 'text', tensor: Tensor.from('BYTES', [2], ['naïve 🦊', '']) },
      { name: 'flags', tensor: Tensor.from('BOOL', [2], [true, false]) },
      { name: 'half', tensor: Tensor.from('FP16', [], [1.5]) },
    ],
  },
};

describe.skipIf(PYTHON_PACKAGES_ABSENT !== undefined)(
  `ONNX's checker and Python's ONNX Runtime (${PYTHON_PACKAGES_ABSENT ?? 'onnx, onnxruntime'})`,
  () => {
    let folder: Awaited<ReturnType<typeof createTestFolder>>;
    const backend = createOnnxBackend({ threads: 1 });
    const at = (...names: string[]) => path.join(folder.path, ...names);

    beforeAll(async () => {
      folder = await createTestFolder();
    });
    afterAll(async () => {
      await backend.stop();
      await folder?.[Symbol.asyncDispose]();
    });

    /** Exports a package as the command does, and has both sides run what came out. */
    const runBoth = async (
      from: string,
      out: string,
      cases: readonly (readonly NamedTensor[])[],
    ) => {
      const words = ['models', 'export', from, '--format', 'dir', '--out', at(out), '--json'];
      const { code, stdout, stderr } = await runSwarm(words, { cwd: folder.path });
      expect(code, `${stdout}\n${stderr}`).toBe(0);
      expect(await readTree(at(out))).toEqual(await readTree(from));
      const theirs = (await runPython('onnx_run.py', {
        model: at(out, 'model.onnx'),
        cases: cases.map((inputs) => inputs.map(jsonTensor)),
      })) as readonly (readonly PythonTensor[])[];
      const model = await backend.load(await describeFiles(from, 'model.onnx'));
      try {
        expect(theirs).toHaveLength(cases.length);
        for (const [index, inputs] of cases.entries()) {
          const { outputs } = await model.run(inputs, { limitMs: LIMIT_MS });
          expectSame(theirs[index] ?? [], outputs);
        }
      } finally {
        await model.unload();
      }
    };

    test.each(Object.entries(SAMPLES))(
      'take an export of a model with %s, and answer as a node does',
      async (name, { files, inputs }) => {
        await writeTree(at(name), files);
        await runBoth(at(name), `${name} out`, [inputs]);
      },
    );

    test.each(['digits', 'language', 'travel'])(
      'take an export of the bundled model %s, and answer its golden vectors as a node does',
      async (name) => {
        const from = path.join(EXAMPLES, name, 'model');
        const model = await describeFiles(from, 'model.onnx');
        const bytes = await readFile(path.join(from, 'golden.json'));
        const cases = [...readGoldenFile(bytes, { fileName: 'golden.json', model })];
        expect(cases.length).toBeGreaterThan(0);
        await runBoth(
          from,
          name,
          cases.map(({ inputs }) => inputs),
        );
      },
    );
  },
);

function jsonTensor({ name, tensor }: NamedTensor) {
  const data: unknown = JSON.parse(`[${formatElements(name, tensor).join(',')}]`);
  return { name, datatype: tensor.datatype, shape: tensor.shape, data };
}

function expectSame(theirs: readonly PythonTensor[], ours: readonly NamedTensor[]): void {
  expect(theirs.map(({ name, shape }) => ({ name, shape }))).toEqual(
    ours.map(({ name, tensor: { shape } }) => ({ name, shape })),
  );
  for (const [index, { name, tensor }] of ours.entries()) {
    const { data = [] } = theirs[index] ?? {};
    const values: readonly unknown[] = tensor.toArray();
    for (const [element, value] of values.entries()) {
      const found = data[element];
      const where = `element ${element} of '${name}'`;
      if (typeof value === 'number') expect(found, where).toBeCloseTo(value, CLOSE);
      else expect(found, where).toBe(typeof value === 'bigint' ? Number(value) : value);
    }
  }
}
