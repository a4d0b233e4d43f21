import { expect } from 'vitest';
import { Tensor } from '../../protocols/tensor.ts';
import {
  type GenerateSample,
  type LibrarySample,
  type LibraryTensors,
  libraryTensor,
  type SingleSample,
  type StatefulSample,
} from './model-library.ts';
import { present } from './present.ts';
import { type Tolerance, tensorDifferences } from './tensor-differences.ts';

type Tensors = Readonly<Record<string, Tensor>>;

/** One call of a model, wherever that runs; without names of outputs all are asked for. */
export type RunModel = (inputs: Tensors, outputs?: readonly string[]) => Promise<Tensors>;

/** Runs a model as a sample of the library says and checks that it answers what the sample expects. */
export async function checkSample(
  run: RunModel,
  folder: string,
  sample: LibrarySample,
): Promise<void> {
  if (sample.kind === 'single') await checkSingle(run, folder, sample);
  else if (sample.kind === 'stateful') await checkStateful(run, folder, sample);
  else await checkGenerate(run, sample);
}

async function checkSingle(run: RunModel, folder: string, sample: SingleSample): Promise<void> {
  const outputs = await run(tensorsOf(folder, sample.inputs), sample.fetch);
  expect(Object.keys(outputs).sort()).toEqual(Object.keys(sample.outputs).sort());
  expectTensors(sample.id, outputs, tensorsOf(folder, sample.outputs), sample.tolerance);
}

async function checkStateful(run: RunModel, folder: string, sample: StatefulSample): Promise<void> {
  const stream = Object.entries(tensorsOf(folder, sample.stream));
  const expected = Object.entries(tensorsOf(folder, sample.outputs));
  const constant = tensorsOf(folder, sample.const);
  let state: Tensors = Object.fromEntries(
    Object.entries(sample.state).map(([name, { init }]) => [name, libraryTensor(folder, init)]),
  );
  for (let step = 0; step < sample.steps; step += 1) {
    const inputs = stream.map(([name, tensor]) => [name, slice(tensor, step)] as const);
    const outputs = await run({ ...constant, ...state, ...Object.fromEntries(inputs) });
    const wanted = expected.map(([name, tensor]) => [name, slice(tensor, step)] as const);
    expectTensors(
      `${sample.id}, step ${step}`,
      outputs,
      Object.fromEntries(wanted),
      sample.tolerance,
    );
    state = Object.fromEntries(
      Object.entries(sample.state).map(([name, { from }]) => [name, present(outputs[from])]),
    );
  }
}

/** As `kv.scheme` of the library has it: the first call is given no past, each further one what the one before made. */
async function checkGenerate(run: RunModel, sample: GenerateSample): Promise<void> {
  const { layers, kvHeads, headDim } = sample.kv;
  const names = Array.from({ length: layers }, (_, layer) => [`${layer}.key`, `${layer}.value`]);
  const carried = names.flat();
  let past: Tensors = Object.fromEntries(
    carried.map((name) => [
      `past_key_values.${name}`,
      Tensor.from('FP32', [1, kvHeads, 0, headDim], []),
    ]),
  );
  let ids = sample.promptIds;
  let pastLength = 0;
  const found: number[] = [];
  while (found.length < sample.greedyIds.length) {
    const total = pastLength + ids.length;
    const outputs = await run({
      ...past,
      input_ids: integers(ids),
      attention_mask: integers(Array.from({ length: total }, () => 1)),
      position_ids: integers(ids.map((_, index) => pastLength + index)),
    });
    const next = argmaxOfLast(present(outputs['logits']));
    found.push(next);
    past = Object.fromEntries(
      carried.map((name) => [`past_key_values.${name}`, present(outputs[`present.${name}`])]),
    );
    pastLength = total;
    ids = [next];
  }
  expect(found, sample.id).toEqual(sample.greedyIds);
}

function expectTensors(id: string, found: Tensors, wanted: Tensors, tolerance: Tolerance): void {
  for (const [name, want] of Object.entries(wanted)) {
    const wrong = tensorDifferences(present(found[name]), want, tolerance);
    expect({ sample: id, name, wrong }).toEqual({ sample: id, name, wrong: [] });
  }
}

function tensorsOf(folder: string, tensors: LibraryTensors): Tensors {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [name, libraryTensor(folder, tensor)]),
  );
}

/** The part of a tensor that a step of its first dimension is. */
function slice({ datatype, shape: [steps = 1, ...shape], bytes }: Tensor, step: number): Tensor {
  const size = bytes.byteLength / steps;
  return new Tensor(datatype, shape, bytes.slice(step * size, (step + 1) * size));
}

function integers(values: readonly number[]): Tensor {
  return Tensor.from('INT64', [1, values.length], values.map(BigInt));
}

/** The likeliest token after the last position of `logits [1, positions, tokens] FP32`. */
function argmaxOfLast({ shape, data }: Tensor): number {
  const tokens = present(shape[2]);
  const last = [...data.slice(-tokens)].map(Number);
  return last.indexOf(Math.max(...last));
}
