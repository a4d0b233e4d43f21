import { InvalidInputError, isSwarmError } from '../../protocols/errors.ts';
import {
  describeValue,
  flattenArray,
  type NestedArray,
  nestedShape,
  type PlainElement,
} from '../../protocols/nested-array.ts';
import { quoted } from '../../protocols/quoted.ts';
import { formatShape, Tensor, type TensorData, type TypedArray } from '../../protocols/tensor.ts';
import type { DeclaredDimension, TensorSpec } from '../../protocols/types.ts';

/**
 * An input as an application has it, made a tensor by what the model declares: arrays nested as the declared shape says, or flat
 * ones in row-major order where at most one dimension is free. FP16 takes a `Uint16Array` of raw bits, and numbers of any other kind.
 */
export type PlainInput = PlainElement | NestedArray | TypedArray | Uint8ClampedArray | Float16Array;

/**
 * The tensor that a plain input stands for. A typed array of the declared datatype is wrapped without a copy.
 *
 * @throws {ERR_INVALID_INPUT} that names the input, what the model declares and what was found.
 */
export function plainTensor(spec: TensorSpec, value: PlainInput): Tensor {
  try {
    return ArrayBuffer.isView(value) ? viewTensor(spec, value) : arrayTensor(spec, value);
  } catch (cause) {
    if (!isSwarmError(cause)) throw cause;
    throw new InvalidInputError(`input ${quoted(spec.name)}: ${cause.message}`, { cause });
  }
}

function viewTensor({ datatype, shape }: TensorSpec, view: ArrayBufferView): Tensor {
  if (!('length' in view) || typeof view.length !== 'number') {
    throw new InvalidInputError('expected arrays or a typed array, found a DataView');
  }
  const filled = fillShape(shape, view.length);
  const isBytes = view instanceof Uint8Array || view instanceof Uint8ClampedArray;
  return Tensor.from(datatype, filled, isBytes ? widened(datatype, view) : view);
}

/** Bytes are numbers here, such as a picture's; `Tensor` would take them for the raw form of wider elements. */
function widened(
  datatype: TensorSpec['datatype'],
  bytes: Uint8Array | Uint8ClampedArray,
): ArrayBufferView {
  switch (datatype) {
    case 'BOOL':
    case 'UINT8':
    case 'BYTES':
      return bytes;
    case 'FP16':
    case 'FP32':
    case 'FP64':
      return new Float32Array(bytes);
    default:
      return new Int32Array(bytes);
  }
}

function arrayTensor({ datatype, shape }: TensorSpec, value: PlainElement | NestedArray): Tensor {
  const found = nestedShape(value);
  const isFlat = found.length === 1 && shape.length !== 1;
  const filled = isFlat ? fillShape(shape, found[0] ?? 0) : fitShape(shape, found, value);
  const elements = flattenArray(filled, value, 'nested arrays');
  return Tensor.from(datatype, filled, elements as TensorData);
}

/** The declared shape with its one free dimension made what the elements need. */
function fillShape(declared: readonly DeclaredDimension[], elements: number): number[] {
  const free = declared.filter((dimension) => typeof dimension !== 'number').length;
  const fixed = declared.reduce<number>(
    (product, dimension) => (typeof dimension === 'number' ? product * dimension : product),
    1,
  );
  if (free > 1) {
    throw new InvalidInputError(
      `the declared shape ${formatShape(declared)} has ${free} free dimensions, expected nested arrays that show them, found ${elements} elements in a row`,
    );
  }
  const size = free === 0 ? undefined : elements / fixed;
  const fits = size === undefined ? fixed === elements : Number.isSafeInteger(size);
  if (!fits) {
    throw new InvalidInputError(
      `expected elements for the declared shape ${formatShape(declared)}, ${free === 0 ? '' : 'a multiple of '}${fixed}, found ${elements}`,
    );
  }
  return declared.map((dimension) => (typeof dimension === 'number' ? dimension : (size ?? 0)));
}

/** The shape that nested arrays show, which must be of the declared rank and have its fixed dimensions. */
function fitShape(
  declared: readonly DeclaredDimension[],
  found: readonly number[],
  value: unknown,
): readonly number[] {
  const fits =
    found.length === declared.length &&
    declared.every((dimension, axis) => typeof dimension !== 'number' || dimension === found[axis]);
  if (fits) return found;
  const what = found.length === 0 ? describeValue(value) : `arrays of shape ${formatShape(found)}`;
  throw new InvalidInputError(`expected shape ${formatShape(declared)}, found ${what}`);
}
