/** The elements of a tensor in the Open Inference Protocol's JSON: `data`, flat or nested, as values of its datatype. */

import type { Datatype } from './datatype.ts';
import { InvalidInputError, isSwarmError } from './errors.ts';
import { formatNumber, formatShortFloat } from './exact-json.ts';
import { describeValue, flattenArray } from './nested-array.ts';
import { Tensor, type TensorData } from './tensor.ts';

/** Decimal digits of a 64-bit integer with its sign. */
const DECIMAL = /^-?\d{1,20}$/;

const NON_FINITE: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
};

/** The least magnitudes that round to infinity: half a step above the largest finite number. */
const OVERFLOW: Partial<Record<Datatype, number>> = {
  FP16: 65_520,
  FP32: 2 ** 128 - 2 ** 103,
};

/** What JSON may hold for an element, in words. */
const EXPECTED: Readonly<Record<Datatype, string>> = {
  BOOL: 'true or false',
  UINT8: 'an integer',
  UINT16: 'an integer',
  UINT32: 'an integer',
  UINT64: 'an integer in plain digits',
  INT8: 'an integer',
  INT16: 'an integer',
  INT32: 'an integer',
  INT64: 'an integer in plain digits',
  FP16: 'a number of magnitude below 65520, "NaN", "Infinity" or "-Infinity"',
  FP32: 'a number of magnitude below 3.5e38, "NaN", "Infinity" or "-Infinity"',
  FP64: 'a number of magnitude below 1.8e308, "NaN", "Infinity" or "-Infinity"',
  BYTES: 'a string of whole Unicode characters',
};

type Element = number | bigint | boolean | string;

/**
 * The tensor that `data` holds.
 *
 * @param path where `data` stands in the request, for messages
 * @throws {ERR_INVALID_INPUT} when `data` does not fill the shape or an element is not of the datatype.
 */
export function parseElements(
  datatype: Datatype,
  shape: readonly number[],
  data: unknown,
  path: string,
): Tensor {
  const values = flattenArray(shape, data, path).map((item, index) => {
    const element = parseElement(datatype, item);
    if (element !== undefined) return element;
    throw new InvalidInputError(
      `${path}: element ${index} is ${describeValue(item)}, expected ${EXPECTED[datatype]}`,
    );
  });
  try {
    return Tensor.from(datatype, shape, values as TensorData);
  } catch (cause) {
    if (!isSwarmError(cause)) throw cause;
    throw new InvalidInputError(`${path}: ${cause.message}`, { cause });
  }
}

/**
 * The elements as JSON, row-major: 64-bit integers exact, floats in the fewest digits that read back as the same.
 *
 * @throws {ERR_INVALID_INPUT} when an element of BYTES is not UTF-8, for JSON cannot carry it.
 */
export function formatElements(name: string, tensor: Tensor): readonly string[] {
  switch (tensor.datatype) {
    case 'BYTES':
      return formatStrings(name, tensor);
    case 'FP16':
    case 'FP32':
    case 'FP64':
      return formatFloats(tensor.datatype, tensor.toArray() as number[]);
    default:
      return tensor.toArray().map(String);
  }
}

function formatStrings(name: string, tensor: Tensor): readonly string[] {
  try {
    return tensor.strings().map((value) => JSON.stringify(value));
  } catch (cause) {
    if (!isSwarmError(cause)) throw cause;
    throw new InvalidInputError(
      `tensor ${describeValue(name)} cannot be written as JSON, which carries UTF-8 only: ${cause.message}`,
      { cause },
    );
  }
}

function formatFloats(datatype: Datatype & `FP${string}`, values: readonly number[]): string[] {
  return values.map((value) => {
    if (!Number.isFinite(value)) return `"${value}"`;
    return datatype === 'FP64' ? formatNumber(value) : formatShortFloat(datatype, value);
  });
}

/** The element as `Tensor.from` takes it, which checks ranges; undefined when JSON's kind of value is wrong. */
function parseElement(datatype: Datatype, item: unknown): Element | undefined {
  switch (datatype) {
    case 'BOOL':
      return item === true || item === false || item === 0 || item === 1 ? item : undefined;
    case 'BYTES':
      // A lone surrogate has no UTF-8: encoding would put another character in its place.
      return typeof item === 'string' && item.isWellFormed() ? item : undefined;
    case 'FP16':
    case 'FP32':
    case 'FP64':
      return parseFloatElement(datatype, item);
    case 'INT64':
    case 'UINT64':
      if (typeof item === 'string' && DECIMAL.test(item)) return BigInt(item);
      return typeof item === 'bigint' || Number.isSafeInteger(item) ? (item as bigint) : undefined;
    default:
      return typeof item === 'bigint' || Number.isInteger(item) ? (item as number) : undefined;
  }
}

function parseFloatElement(datatype: Datatype, item: unknown): number | undefined {
  if (typeof item === 'string')
    return Object.hasOwn(NON_FINITE, item) ? NON_FINITE[item] : undefined;
  if (typeof item !== 'number' && typeof item !== 'bigint') return undefined;
  const value = Number(item);
  return Math.abs(value) < (OVERFLOW[datatype] ?? Number.POSITIVE_INFINITY) ? value : undefined;
}
