import { GraphWriter } from '../graph-writer.ts';

export const MODEL_NAMES = ['tiny', 'heavy'] as const;

export type ModelName = (typeof MODEL_NAMES)[number];

/** Numbers of a row of the input, and of the output: both models have as many of both. */
export const WIDTH = 64;

/** The tiny one is a perceptron of one hidden layer, the heavy one has so many layers of so many numbers that one row takes some 5 ms on one core. */
const SHAPES: Readonly<Record<ModelName, { readonly layers: number; readonly hidden: number }>> = {
  tiny: { layers: 2, hidden: 64 },
  heavy: { layers: 14, hidden: 1024 },
};

/** FP32 [batch, 64] of `x FP32 [batch, 64]`. */
export function modelBytes(name: ModelName): Uint8Array {
  const { layers, hidden } = SHAPES[name];
  const graph = new GraphWriter();
  let value = 'x';
  for (let layer = 1; layer <= layers; layer += 1) {
    const from = layer === 1 ? WIDTH : hidden;
    const last = layer === layers;
    value = graph.dense(value, from, last ? WIDTH : hidden, last ? undefined : 'Relu');
  }
  return graph.model(name, [WIDTH], value, WIDTH).bytes;
}
