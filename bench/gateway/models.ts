import { noise } from '../../test/support/noise.ts';
import { buildModel } from '../../test/support/onnx-builder.ts';

export const BENCH_MODELS = ['tiny', 'heavy'] as const;

export type BenchModel = (typeof BENCH_MODELS)[number];

/** Numbers of a row of the input, and of the output: both models have as many of both. */
export const WIDTH = 64;

/** The tiny one is a perceptron of one hidden layer, the heavy one has so many layers of so many numbers that one row takes some 5 ms on one core. */
const SHAPES: Readonly<Record<BenchModel, { readonly layers: number; readonly hidden: number }>> = {
  tiny: { layers: 2, hidden: 64 },
  heavy: { layers: 14, hidden: 1024 },
};

/** `y FP32 [batch, 64]` of `x FP32 [batch, 64]`. */
export function benchModel(name: BenchModel): Uint8Array {
  const { layers, hidden } = SHAPES[name];
  const sizes = [WIDTH, ...Array.from({ length: layers - 1 }, () => hidden), WIDTH];
  const weights = sizes.slice(1).map((columns, index) => {
    const rows = sizes[index] ?? WIDTH;
    const bytes = noise(rows * columns, index + 1);
    const values = Float32Array.from(bytes, (byte) => (byte - 127.5) / (127.5 * Math.sqrt(rows)));
    return {
      ...{ name: `w${index}`, datatype: 'FP32' as const, shape: [rows, columns] },
      data: new Uint8Array(values.buffer),
    };
  });
  const last = weights.length - 1;
  return buildModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', WIDTH] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', WIDTH] }],
    nodes: weights.flatMap(({ name: weight }, index) => {
      const product = index === last ? 'y' : `p${index}`;
      const before = index === 0 ? 'x' : `r${index - 1}`;
      const multiply = { op: 'MatMul', inputs: [before, weight], outputs: [product] };
      if (index === last) return [multiply];
      return [multiply, { op: 'Relu', inputs: [product], outputs: [`r${index}`] }];
    }),
    initializers: weights,
  });
}
