/** Plain values and typed arrays, as the bytes of a tensor. What is checked is each element; the caller has counted them. */

import { Float16Array as Float16Ponyfill } from '@petamoriken/float16';
import type { Datatype } from './datatype.ts';
import { ELEMENT_VIEWS, nativeFloat16 } from './element-view.ts';
import { InvalidInputError } from './errors.ts';

/** The values a tensor can be made from. FP16 takes numbers, or a `Uint16Array` of raw bits. */
export type TensorData =
  | ArrayBufferView
  | readonly number[]
  | readonly bigint[]
  | readonly boolean[]
  | readonly string[];

/** Bounds of each integer datatype. JavaScript compares numbers with bigints exactly. */
const INTEGER_RANGE: Partial<Record<Datatype, readonly [number | bigint, number | bigint]>> = {
  UINT8: [0, 255],
  UINT16: [0, 65_535],
  UINT32: [0, 4_294_967_295],
  UINT64: [0n, 2n ** 64n - 1n],
  INT8: [-128, 127],
  INT16: [-32_768, 32_767],
  INT32: [-(2 ** 31), 2 ** 31 - 1],
  INT64: [-(2n ** 63n), 2n ** 63n - 1n],
};

const toUtf8 = new TextEncoder();

/**
 * The bytes of the elements: those of a typed array of the datatype itself, else new ones.
 *
 * @throws {ERR_INVALID_INPUT} naming the first element that does not fit the datatype.
 */
export function encodeElements(datatype: Datatype, data: TensorData): Uint8Array {
  if (datatype === 'BYTES') return encodeStrings(data as readonly string[]);
  if (ArrayBuffer.isView(data) && isEncoded(datatype, data)) {
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
  // A DataView has no items: it is as long as its bytes, and none of them is there.
  const values = data as ArrayLike<unknown>;
  const range = INTEGER_RANGE[datatype];
  if (range !== undefined) return encodeIntegers(datatype, values, range);
  return datatype === 'BOOL' ? encodeBooleans(values) : encodeFloats(datatype, values);
}

/** Whether the view's bytes are the tensor's: it holds the datatype's elements, or raw bytes, or half floats. */
function isEncoded(datatype: Exclude<Datatype, 'BYTES'>, view: ArrayBufferView): boolean {
  return (
    view.constructor === ELEMENT_VIEWS[datatype] ||
    view instanceof Uint8Array ||
    view instanceof Uint8ClampedArray ||
    (datatype === 'FP16' && view.constructor.name === 'Float16Array')
  );
}

// The loops count instead of iterating: an array with holes must not get away with them, and an iterator costs two to ten times as much.

function encodeFloats(datatype: Datatype, values: ArrayLike<unknown>): Uint8Array {
  for (let index = 0; index < values.length; index += 1) {
    if (typeof values[index] !== 'number') throw notOf(datatype, values[index], index);
  }
  const numbers = values as ArrayLike<number>;
  if (datatype === 'FP32') return new Uint8Array(new Float32Array(numbers).buffer);
  if (datatype === 'FP64') return new Uint8Array(new Float64Array(numbers).buffer);
  const Native = nativeFloat16();
  return new Uint8Array(
    Native === undefined ? Float16Ponyfill.from(numbers).buffer : new Native(numbers).buffer,
  );
}

function encodeIntegers(
  datatype: Exclude<Datatype, 'BYTES'>,
  values: ArrayLike<unknown>,
  [low, high]: readonly [number | bigint, number | bigint],
): Uint8Array {
  const wide = datatype === 'INT64' || datatype === 'UINT64';
  const out = new ELEMENT_VIEWS[datatype](values.length);
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index];
    // A number beyond 2^53 has already lost its last digits: refusing it keeps 64-bit integers exact.
    const exact =
      typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value));
    if (!exact || value < low || value > high) throw notOf(datatype, value, index);
    out[index] = wide ? BigInt(value) : Number(value);
  }
  return new Uint8Array(out.buffer);
}

function encodeBooleans(values: ArrayLike<unknown>): Uint8Array {
  const out = new Uint8Array(values.length);
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index];
    const truth = value === true || value === 1;
    if (!truth && value !== false && value !== 0) throw notOf('BOOL', value, index);
    out[index] = truth ? 1 : 0;
  }
  return out;
}

function encodeStrings(values: readonly unknown[]): Uint8Array {
  const parts = Array.from(values, (value, index) => {
    // A lone surrogate has no UTF-8: encoding would put another character in its place.
    if (typeof value !== 'string' || !value.isWellFormed()) throw notOf('BYTES', value, index);
    return toUtf8.encode(value);
  });
  return joinElements(parts);
}

/** The bytes of a BYTES tensor: each element behind its length. */
export function joinElements(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((total, part) => total + 4 + part.byteLength, 0));
  const view = new DataView(out.buffer);
  let offset = 0;
  for (const part of parts) {
    view.setUint32(offset, part.byteLength, true);
    out.set(part, offset + 4);
    offset += 4 + part.byteLength;
  }
  return out;
}

function notOf(datatype: Datatype, value: unknown, index: number): InvalidInputError {
  return new InvalidInputError(
    `element ${index} is ${typeof value === 'bigint' ? `${value}n` : String(value).slice(0, 40)} (${typeof value}), which is not a ${datatype} value`,
  );
}
