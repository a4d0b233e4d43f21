import { Float16Array as Float16Ponyfill } from '@petamoriken/float16';
import { DATATYPES, type Datatype, elementBytes, isDatatype } from './datatype.ts';
import { encodeElements, type TensorData } from './element-encoder.ts';
import { ELEMENT_VIEWS, nativeFloat16, viewLength } from './element-view.ts';
import { InvalidInputError } from './errors.ts';
import {
  flattenArray,
  type NestedArray,
  nestArray,
  nestedShape,
  type PlainElement,
} from './nested-array.ts';
import { elementCount, formatShape } from './shape.ts';

export type { TensorData } from './element-encoder.ts';
export { elementCount, formatShape };

/** A typed view of a tensor's elements; FP16 is its raw bits, BOOL one byte 0 or 1 an element. */
export type TypedArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | BigUint64Array
  | BigInt64Array
  | Float32Array
  | Float64Array;

/** A tensor with the name of the model input or output it is for. */
export interface NamedTensor {
  readonly name: string;
  readonly tensor: Tensor;
}

/** Bytes of tensors together. */
export function bytesOf(tensors: readonly { readonly tensor: Tensor }[]): number {
  return tensors.reduce((sum, { tensor }) => sum + tensor.bytes.byteLength, 0);
}

/** Elements of tensors together. */
export function elementsOf(tensors: readonly { readonly tensor: Tensor }[]): number {
  return tensors.reduce((sum, { tensor }) => sum + tensor.size, 0);
}

// A byte order mark is a character of the element, not a mark of ours to drop.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * An n-dimensional array in the form that travels: row-major, little-endian, contiguous.
 *
 * `bytes` is owned by the tensor: whoever hands it in must not write to it again. Element `i` of a `BYTES` tensor is a
 * 32-bit little-endian length and that many bytes, as in the Open Inference Protocol's binary form.
 */
export class Tensor {
  readonly datatype: Datatype;
  /** Row-major dimensions; `[]` is a scalar. */
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;

  /**
   * Wraps bytes that are already in wire form, without copying.
   *
   * @throws {ERR_INVALID_INPUT} when the datatype is none, the shape is malformed or its element count does not match the bytes.
   */
  constructor(datatype: Datatype, shape: readonly number[], bytes: Uint8Array) {
    if (!isDatatype(datatype)) {
      throw new InvalidInputError(
        `datatype of a tensor is ${JSON.stringify(datatype)}, expected one of ${DATATYPES.join(', ')}`,
      );
    }
    const count = elementCount(shape);
    const size = elementBytes(datatype);
    if (size !== null && bytes.byteLength !== count * size) {
      throw new InvalidInputError(
        `${datatype} tensor of shape ${formatShape(shape)} needs ${count * size} bytes, got ${bytes.byteLength}`,
      );
    }
    if (size === null) checkBytesElements(bytes, count);
    this.datatype = datatype;
    this.shape = shape;
    this.bytes = bytes;
  }

  /**
   * Makes a tensor from values: a typed array of the datatype is wrapped without a copy, anything else is converted.
   *
   * @throws {ERR_INVALID_INPUT} when the values do not fill the shape or do not fit the datatype.
   */
  static from(datatype: Datatype, shape: readonly number[], data: TensorData): Tensor {
    const count = elementCount(shape);
    const found = ArrayBuffer.isView(data) ? viewLength(datatype, data) : data.length;
    if (found !== count) {
      throw new InvalidInputError(
        `${datatype} tensor of shape ${formatShape(shape)} needs ${count} elements, got ${found}`,
      );
    }
    return new Tensor(datatype, [...shape], encodeElements(datatype, data));
  }

  /**
   * Makes a tensor from arrays of arrays, whose nesting is its shape; a single value makes a scalar.
   *
   * @throws {ERR_INVALID_INPUT} when the arrays are ragged or a value does not fit the datatype.
   */
  static of(datatype: Datatype, values: PlainElement | NestedArray): Tensor {
    const shape = nestedShape(values);
    const elements = flattenArray(shape, values, `${datatype} tensor`);
    return Tensor.from(datatype, shape, elements as TensorData);
  }

  /** Number of elements; 1 for a scalar, 0 when a dimension is 0. */
  get size(): number {
    return elementCount(this.shape);
  }

  /**
   * The elements as a typed array that shares memory with `bytes` where alignment allows, else a copy.
   *
   * @throws {ERR_INVALID_INPUT} for `BYTES`, whose elements are read with {@link strings}.
   */
  get data(): TypedArray {
    if (this.datatype === 'BYTES') {
      throw new InvalidInputError('a BYTES tensor has no typed array, read it with strings()');
    }
    const View = ELEMENT_VIEWS[this.datatype];
    const { buffer, byteOffset, byteLength } = this.bytes;
    if (byteOffset % View.BYTES_PER_ELEMENT === 0) {
      return new View(buffer as ArrayBuffer, byteOffset, byteLength / View.BYTES_PER_ELEMENT);
    }
    // Not `slice()`: of a Buffer that is no copy, and `buffer` would be the pool with everybody's bytes.
    return new View(new Uint8Array(this.bytes).buffer);
  }

  /**
   * The elements of a `BYTES` tensor, each a copy-free view.
   *
   * @throws {ERR_INVALID_INPUT} for any other datatype.
   */
  elements(): Uint8Array[] {
    if (this.datatype !== 'BYTES') {
      throw new InvalidInputError(`elements() reads BYTES tensors, this one is ${this.datatype}`);
    }
    return [...bytesElements(this.bytes)];
  }

  /**
   * The elements of a `BYTES` tensor as UTF-8 text.
   *
   * @throws {ERR_INVALID_INPUT} for another datatype or bytes that are not UTF-8.
   */
  strings(): string[] {
    return this.elements().map((element, index) => {
      try {
        return utf8.decode(element);
      } catch (cause) {
        throw new InvalidInputError(`element ${index} of a BYTES tensor is not valid UTF-8`, {
          cause,
        });
      }
    });
  }

  /**
   * The elements of a floating-point tensor as numbers. FP16 comes as a `Float16Array` where the runtime has it, else as a
   * `Float32Array`, which holds each of its values exactly; the others are {@link data}.
   *
   * @throws {ERR_INVALID_INPUT} for any other datatype.
   */
  floats(): Float16Array | Float32Array | Float64Array {
    const { datatype } = this;
    if (datatype === 'FP32' || datatype === 'FP64') {
      return this.data as Float32Array | Float64Array;
    }
    if (datatype !== 'FP16') {
      throw new InvalidInputError(
        `floats() reads FP16, FP32 and FP64 tensors, this one is ${datatype}`,
      );
    }
    const { buffer, byteOffset, length } = this.data as Uint16Array<ArrayBuffer>;
    const Native = nativeFloat16();
    if (Native !== undefined) return new Native(buffer, byteOffset, length);
    return new Float32Array(new Float16Ponyfill(buffer, byteOffset, length));
  }

  /** The elements as arrays of arrays, one level for each dimension; a scalar's is the element itself. */
  toNestedArray(): NestedArray | PlainElement {
    return nestArray<PlainElement>(this.toArray(), this.shape);
  }

  /** The elements as plain values in row-major order: numbers, bigints for 64-bit integers, booleans, strings. */
  toArray(): number[] | bigint[] | boolean[] | string[] {
    if (this.datatype === 'BYTES') return this.strings();
    if (this.datatype === 'BOOL') return Array.from(this.bytes, (value) => value !== 0);
    return listOf(this.datatype === 'FP16' ? this.floats() : this.data) as number[] | bigint[];
  }
}

/** As `Array.from`, in half the time: that goes by an iterator. */
function listOf(view: ArrayLike<number | bigint>): (number | bigint)[] {
  const list: (number | bigint)[] = [];
  for (let index = 0; index < view.length; index += 1) list.push(view[index] as number | bigint);
  return list;
}

function* bytesElements(bytes: Uint8Array): Generator<Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 0;
  while (offset < bytes.byteLength) {
    const left = bytes.byteLength - offset;
    const length = left < 4 ? -1 : view.getUint32(offset, true);
    if (length < 0 || length > left - 4) {
      throw new InvalidInputError(
        `BYTES tensor ends inside an element at byte ${offset}: ${left} bytes are left`,
      );
    }
    yield bytes.subarray(offset + 4, offset + 4 + length);
    offset += 4 + length;
  }
}

function checkBytesElements(bytes: Uint8Array, count: number): void {
  let found = 0;
  for (const _ of bytesElements(bytes)) found += 1;
  if (found !== count) {
    throw new InvalidInputError(`BYTES tensor needs ${count} elements, got ${found}`);
  }
}
