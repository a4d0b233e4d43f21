import type { Datatype } from '../../../protocols/datatype.ts';
import { InvalidInputError, isSwarmError } from '../../../protocols/errors.ts';
import { Tensor, type TensorData } from '../../../protocols/tensor.ts';

/** The names ONNX Runtime for Node has for the datatypes; what is not here cannot travel, int4 for one aborts the process. */
const ORT_TYPES: Readonly<Record<Datatype, string>> = {
  BOOL: 'bool',
  UINT8: 'uint8',
  UINT16: 'uint16',
  UINT32: 'uint32',
  UINT64: 'uint64',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  FP16: 'float16',
  FP32: 'float32',
  FP64: 'float64',
  BYTES: 'string',
};

const DATATYPES = new Map(
  Object.entries(ORT_TYPES).map(([ours, theirs]) => [theirs, ours as Datatype]),
);

/**
 * A tensor in the plain form the runtime's binding reads. Its `Tensor` class is passed by: on Node 23 and later that class
 * takes float16 as a Float16Array, which the binding (1.30) cannot read; a plain object with the raw bits works everywhere.
 */
export interface OrtTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly location: 'cpu';
  readonly data: ArrayBufferView | readonly string[];
}

/** Our datatype for one of the runtime's, undefined when it cannot travel. */
export function datatypeOfOrt(type: string): Datatype | undefined {
  return DATATYPES.get(type);
}

/**
 * The runtime's form of an input; numbers share memory with the tensor.
 *
 * @throws {ERR_INVALID_INPUT} when a BYTES element is not UTF-8 or has a NUL, or a BOOL is neither 0 nor 1.
 */
export function toOrtTensor(name: string, tensor: Tensor): OrtTensor {
  const { datatype, shape: dims } = tensor;
  const type = ORT_TYPES[datatype];
  if (datatype !== 'BYTES') {
    if (datatype === 'BOOL') checkBooleans(name, tensor.bytes);
    return { type, dims, location: 'cpu', data: tensor.data };
  }
  return { type, dims, location: 'cpu', data: stringsOf(name, tensor) };
}

function stringsOf(name: string, tensor: Tensor): string[] {
  let strings: string[];
  try {
    strings = tensor.strings();
  } catch (error) {
    if (!isSwarmError(error)) throw error;
    throw new InvalidInputError(`input '${name}': ${error.message}`, { cause: error });
  }
  // The binding (1.30) hands text over as C strings: what follows a NUL would be lost without a word.
  const index = strings.findIndex((text) => text.includes('\0'));
  if (index < 0) return strings;
  throw new InvalidInputError(
    `input '${name}': element ${index} has a NUL character, which ONNX Runtime cannot take`,
  );
}

/** Our form of an output; numbers share memory with the runtime's array. */
export function fromOrtTensor(output: Pick<OrtTensor, 'type' | 'dims' | 'data'>): Tensor {
  const datatype = datatypeOfOrt(output.type);
  if (datatype === undefined) throw new TypeError(`unexpected output type ${output.type}`);
  const { data } = output;
  if (ArrayBuffer.isView(data)) {
    const bytes = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
    return new Tensor(datatype, output.dims, bytes);
  }
  return Tensor.from(datatype, output.dims, data satisfies TensorData);
}

// C++ code compiled for 0 and 1 does anything at all with a third value.
function checkBooleans(name: string, bytes: Uint8Array): void {
  const index = bytes.findIndex((value) => value > 1);
  if (index < 0) return;
  throw new InvalidInputError(
    `input '${name}': element ${index} is ${bytes[index]}, expected 0 or 1 in a BOOL tensor`,
  );
}
