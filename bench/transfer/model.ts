import { writeFile } from 'node:fs/promises';
import { noise } from '../../test/support/noise.ts';
import { buildModel } from '../../test/support/onnx-builder.ts';

/** Bytes of one tensor of weights. */
export const TENSOR_BYTES = 4 * 1024 * 1024;

const SIDE = Math.sqrt(TENSOR_BYTES / Float32Array.BYTES_PER_ELEMENT);

export interface ModelInit {
  /** Tensors of weights, in one file with the graph. */
  readonly tensors: number;
  /** Index of a tensor whose weights are other than without this. */
  readonly changed?: number | undefined;
  /** Bytes that the graph, which stands before the weights, has more than without this. */
  readonly longerBytes?: number | undefined;
}

/** Writes a model of weights that no compression and no chance makes equal; the same settings give the same bytes. */
export async function writeModel(file: string, init: ModelInit): Promise<void> {
  const { tensors, changed, longerBytes = 0 } = init;
  const value = (index: number): string => (index === 0 ? 'x' : `x${index}`);
  const shape = [SIDE, SIDE];
  const bytes = buildModel({
    name: 'graph'.padEnd(longerBytes + 5, '-'),
    inputs: [{ name: 'x', datatype: 'FP32', shape }],
    outputs: [{ name: value(tensors), datatype: 'FP32', shape }],
    nodes: Array.from({ length: tensors }, (_, index) => ({
      op: 'Add',
      inputs: [value(index), `w${index}`],
      outputs: [value(index + 1)],
    })),
    initializers: Array.from({ length: tensors }, (_, index) => ({
      name: `w${index}`,
      datatype: 'FP32' as const,
      shape,
      data: noise(TENSOR_BYTES, index === changed ? tensors + 1 : index + 1),
    })),
  });
  await writeFile(file, bytes);
}
