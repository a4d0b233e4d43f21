import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { memorySource } from '../../src/model/byte-source.ts';
import type { OnnxGraph } from '../../src/model/onnx-graph.ts';
import { readOnnxGraph } from '../../src/model/onnx-reader.ts';
import { readTensorProto, type StoredTensor } from './tensor-proto.ts';

/** What the ONNX project's own runner allows a float to be off (`TestCase` and `assert_similar_outputs`, onnx 1.22). */
export const TOLERANCE = { absolute: 1e-7, relative: 1e-3 };

/** The folders of the test data whose models come with inputs and outputs in files. */
const KINDS = ['node', 'simple', 'pytorch-converted', 'pytorch-operator'] as const;

/** Whole networks, their weights made by the graph; their input is made by the runner. */
const LIGHT = 'light';

const FLOAT = 1;

/** One of the ONNX project's tests: a model, inputs, and what must come out. */
export interface OnnxCase {
  /** `node/test_abs` */
  readonly name: string;
  /** Absolute path of the .onnx file. */
  readonly model: string;
  /** Absolute paths of the folders with inputs and outputs; none where the runner makes the input. */
  readonly dataSets: readonly string[];
}

/** Values in the order of the graph; a file that is no tensor (a sequence, an optional) is its type. */
export interface DataSet {
  readonly inputs: readonly StoredValue[];
  readonly outputs: readonly StoredValue[];
}

export type StoredValue =
  | { readonly name: string; readonly kind: 'tensor'; readonly tensor: StoredTensor }
  | { readonly name: string; readonly kind: 'other'; readonly type: string };

/** All tests of the data in `folder`, by name. */
export async function findOnnxCases(folder: string): Promise<OnnxCase[]> {
  const cases: OnnxCase[] = [];
  for (const kind of KINDS) {
    for (const test of await readdir(path.join(folder, kind))) {
      const files = await readdir(path.join(folder, kind, test));
      const dataSets = files.filter((file) => file.startsWith('test_data_set_'));
      cases.push({
        name: `${kind}/${test}`,
        model: path.join(folder, kind, test, 'model.onnx'),
        dataSets: dataSets.map((set) => path.join(folder, kind, test, set)),
      });
    }
  }
  for (const file of await readdir(path.join(folder, LIGHT))) {
    if (path.extname(file) !== '.onnx') continue;
    const name = path.basename(file, '.onnx');
    cases.push({ name: `${LIGHT}/${name}`, model: path.join(folder, LIGHT, file), dataSets: [] });
  }
  return cases.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Reads what the test gives and expects. */
export async function readDataSets({ model, dataSets }: OnnxCase): Promise<DataSet[]> {
  const graph = await readOnnxGraph(memorySource(await readFile(model)));
  if (dataSets.length === 0) return [await madeDataSet(model, graph)];
  return Promise.all(
    dataSets.map(async (folder) => ({
      inputs: await readValues(folder, 'input', graph.inputs),
      outputs: await readValues(folder, 'output', graph.outputs),
    })),
  );
}

async function readValues(
  folder: string,
  what: 'input' | 'output',
  values: OnnxGraph['inputs'],
): Promise<StoredValue[]> {
  const there = new Set(await readdir(folder));
  // Inputs at the end that a test leaves to their initializers have no file.
  const given = values.filter((_, index) => there.has(`${what}_${index}.pb`));
  return Promise.all(
    given.map(async (value, index) => {
      const { name } = value;
      // Of an unsupported tensor the elements are of interest still: a runtime may take them.
      if (value.kind === 'unsupported' && !value.type.startsWith('tensor(')) {
        return { name, kind: 'other', type: value.type };
      }
      const file = `${what}_${index}.pb`;
      const tensor = await readTensorProto(await readFile(path.join(folder, file)), file);
      return { name, kind: 'tensor', tensor };
    }),
  );
}

/** As `Runner.generate_dummy_data` of onnx 1.22 has it: 0, 1/n, 2/n … for each input of floats. */
async function madeDataSet(model: string, { inputs, outputs }: OnnxGraph): Promise<DataSet> {
  const file = model.replace(/\.onnx$/, '_output_0.pb');
  const [output] = outputs;
  return {
    inputs: inputs.map((input): StoredValue => {
      const { name } = input;
      if (input.kind === 'unsupported') return { name, kind: 'other', type: input.type };
      const shape = input.shape.map((size) => (typeof size === 'number' ? size : 1));
      const count = shape.reduce((product, size) => product * size, 1);
      const data = Float32Array.from({ length: count }, (_, index) => index / count);
      const bytes = new Uint8Array(data.buffer);
      return { name, kind: 'tensor', tensor: { name, elementType: FLOAT, shape, bytes } };
    }),
    outputs: [
      {
        name: output?.name ?? '',
        kind: 'tensor',
        tensor: await readTensorProto(await readFile(file), path.basename(file)),
      },
    ],
  };
}
