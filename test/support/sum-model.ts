import { digestText, sha256 } from '../../protocols/digest.ts';
import { noise } from './noise.ts';
import { buildModel } from './onnx-builder.ts';

const SIDE = 1024;

/** The shape of the input and the output. */
export const SUM_SHAPE = [SIDE, SIDE] as const;

const TENSORS = 6;

/** Weights of whole numbers, so that sums of them are exact. */
function weights(seed: number): Float32Array {
  return Float32Array.from(noise(SIDE * SIDE, seed));
}

/** A model that adds six tensors of 4 MiB to its input `x`, the third made of a seed, and the digest of their sum. */
export function sumModel(third: number): { readonly bytes: Uint8Array; readonly sum: string } {
  const seeds = [1, 2, third, 4, 5, 6];
  const tensors = seeds.map(weights);
  const value = (index: number): string => (index === 0 ? 'x' : `x${index}`);
  const bytes = buildModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: SUM_SHAPE }],
    outputs: [{ name: value(TENSORS), datatype: 'FP32', shape: SUM_SHAPE }],
    nodes: seeds.map((_, index) => ({
      op: 'Add',
      inputs: [value(index), `w${index}`],
      outputs: [value(index + 1)],
    })),
    initializers: tensors.map((data, index) => ({
      name: `w${index}`,
      datatype: 'FP32' as const,
      shape: SUM_SHAPE,
      data: new Uint8Array(data.buffer),
    })),
  });
  const sum = new Float32Array(SIDE * SIDE);
  for (const tensor of tensors)
    tensor.forEach((one, index) => (sum[index] = (sum[index] ?? 0) + one));
  return { bytes, sum: digestText(sha256(new Uint8Array(sum.buffer))) };
}
