import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { TensorSpec } from '../../protocols/types.ts';
import { buildModel } from '../../test/support/onnx-builder.ts';

/** Bytes of an answer at most, in both modes and behind every transport. */
export const MAX_REPLY_BYTES = 4096;

/** What the tiny model adds to each of the first 1024 elements of its input. */
export const ADDED = 1;

export const FLOAT_BYTES = Float32Array.BYTES_PER_ELEMENT;

export const MODEL_INPUTS: readonly TensorSpec[] = [
  { name: 'x', datatype: 'FP32', shape: ['elements'] },
];
export const MODEL_OUTPUTS: readonly TensorSpec[] = [
  { name: 'y', datatype: 'FP32', shape: ['kept'] },
];

const MODEL_FILE = 'model.onnx';

/** Writes the model of the executor mode, `y = x[:1024] + 1`, into a folder; returns its file name. */
export async function writeTinyModel(directory: string): Promise<string> {
  const bytes = buildModel({
    inputs: MODEL_INPUTS,
    outputs: MODEL_OUTPUTS,
    nodes: [
      { op: 'Slice', inputs: ['x', 'from', 'to'], outputs: ['head'] },
      { op: 'Add', inputs: ['head', 'one'], outputs: ['y'] },
    ],
    initializers: [
      { name: 'from', datatype: 'INT64', shape: [1], data: [0] },
      { name: 'to', datatype: 'INT64', shape: [1], data: [MAX_REPLY_BYTES / FLOAT_BYTES] },
      { name: 'one', datatype: 'FP32', shape: [1], data: [ADDED] },
    ],
  });
  await writeFile(path.join(directory, MODEL_FILE), bytes);
  return MODEL_FILE;
}
