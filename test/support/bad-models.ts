import { expect } from 'vitest';
import { type NamedTensor, Tensor } from '../../protocols/tensor.ts';
import type { TensorSpec } from '../../protocols/types.ts';
import { type BadModel, badModels, type LibraryTensors, libraryTensor } from './model-library.ts';

/** What a node must do with a model of the library's bad ones, by the index's own words. */
export type Treatment = 'refused' | 'damaged' | 'bounded' | 'served';

const TREATMENTS: Readonly<Record<Treatment, RegExp>> = {
  refused: /^fail with a clear error|not in the allow list/,
  damaged: /sha256/,
  bounded: /^stay responsive/,
  served: /^serve it|^report the real/,
};

/** The bad models that are to be treated so. */
export function badModelsThatAre(treatment: Treatment): readonly BadModel[] {
  return badModels().filter(({ must }) => TREATMENTS[treatment].test(must));
}

/** Bad models of which the index says something that {@link Treatment} has no word for. */
export function unknownBadModels(): readonly string[] {
  const known = Object.values(TREATMENTS);
  return badModels().flatMap(({ name, must }) => (known.some((of) => of.test(must)) ? [] : [name]));
}

/** Without the NUL of the index's own: ONNX Runtime for Node cannot take it, and the backend says so. */
export const ODD_TEXTS: LibraryTensors = {
  x: { dtype: 'string', shape: [4], data: ['', '🦊 naïve', 'a\r\nb', 'x'.repeat(100_000)] },
};

/** Checks what those answer whose answer is the point. */
export const BAD_MODEL_ANSWERS: Readonly<Record<string, (output: Tensor) => void>> = {
  'nan-inf-output': (output) =>
    expect(output.toArray()).toEqual([Number.NaN, Infinity, -Infinity, -0]),
  'int64-extreme': (output) =>
    expect(output.toArray()).toEqual([2n ** 53n + 1n, -(2n ** 63n), 2n ** 63n - 1n, -1n]),
  'scalar-io': (output) => expect(output.shape).toEqual([]),
  'string-echo': (output) => expect(output.strings()).toEqual(ODD_TEXTS['x']?.data),
  'wrong-declared-output': (output) => expect(output.shape).toEqual([3]),
};

/** Inputs for a bad model: those of the index, else zeros as its graph declares them. */
export function badModelInputs(
  { name }: BadModel,
  specs: readonly TensorSpec[],
  feeds: LibraryTensors | undefined,
): NamedTensor[] {
  const given = name === 'string-echo' ? ODD_TEXTS : feeds;
  if (given === undefined) return specs.map((spec) => ({ name: spec.name, tensor: zeros(spec) }));
  return Object.entries(given).map(([input, tensor]) => ({
    name: input,
    tensor: libraryTensor('', tensor),
  }));
}

function zeros({ datatype, shape }: TensorSpec): Tensor {
  const sizes = shape.map((dimension) => (typeof dimension === 'number' ? dimension : 3));
  const count = sizes.reduce((product, size) => product * size, 1);
  return Tensor.from(datatype, sizes, new Float32Array(count));
}
