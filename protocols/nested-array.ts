/** Plain values in nested arrays, as JSON and applications hold them, and the shape that their nesting shows. */

import { InvalidInputError, LimitError } from './errors.ts';
import { MAX_RANK } from './limits.ts';
import { elementCount, formatShape } from './shape.ts';

/** Characters of a value that are shown in a message. */
const MAX_SHOWN = 60;

/** Arrays without an element that are made of a shape: a peer's `[2 ** 40, 0]` has no byte to pay for them. */
const MAX_EMPTY_ARRAYS = 65_536;

/** One element of a tensor as a plain value. */
export type PlainElement = number | bigint | boolean | string;

/** Elements in arrays of arrays, one level for each dimension. */
export type NestedArray = readonly (PlainElement | NestedArray)[];

/**
 * The lengths along the first item of each level: the shape, if the arrays are not ragged, which {@link flattenArray} finds out.
 * `[]` for what is no array.
 *
 * @throws {ERR_INVALID_INPUT} when the arrays are nested deeper than a tensor has dimensions.
 */
export function nestedShape(values: unknown): number[] {
  const shape: number[] = [];
  for (let level = values; Array.isArray(level); level = level[0]) {
    if (shape.length === MAX_RANK) {
      throw new InvalidInputError(
        `arrays are nested more than ${MAX_RANK} deep, expected at most ${MAX_RANK} dimensions`,
      );
    }
    shape.push(level.length);
  }
  return shape;
}

/**
 * Row-major elements as nested arrays of the shape; the element itself for a scalar.
 *
 * @throws {ERR_LIMIT} when the shape asks for many arrays with nothing in them.
 */
export function nestArray<Element extends PlainElement>(
  elements: readonly Element[],
  shape: readonly number[],
): NestedArray | Element {
  if (shape.length === 0) return elements[0] as Element;
  let level: NestedArray = elements;
  for (let axis = shape.length - 1; axis > 0; axis -= 1) {
    const length = shape[axis] ?? 0;
    const rows = elementCount(shape.slice(0, axis));
    if (rows > MAX_EMPTY_ARRAYS && length === 0) {
      throw new LimitError(
        `shape ${formatShape(shape)} nests ${rows} empty arrays, expected at most ${MAX_EMPTY_ARRAYS}`,
      );
    }
    const below: NestedArray = level;
    level = Array.from({ length: rows }, (_, row) => below.slice(row * length, (row + 1) * length));
  }
  return level;
}

/**
 * Row-major elements of flat or nested arrays; nested ones must have the shape's own lengths.
 *
 * @param path what the arrays are, for messages
 * @throws {ERR_INVALID_INPUT} when they do not fill the shape, or are ragged.
 */
export function flattenArray(
  shape: readonly number[],
  data: unknown,
  path: string,
): readonly unknown[] {
  // A scalar may stand by itself, as nested data of no dimension does.
  if (shape.length === 0 && !Array.isArray(data) && data !== undefined) return [data];
  if (!Array.isArray(data)) {
    throw new InvalidInputError(`${path}: expected an array, found ${describeValue(data)}`);
  }
  const nested = shape.length > 1 && Array.isArray(data[0]);
  if (!nested) {
    const count = elementCount(shape);
    if (data.length === count) return data;
    throw new InvalidInputError(
      `${path}: expected ${count} elements for shape ${formatShape(shape)}, found ${data.length}`,
    );
  }
  const elements: unknown[] = [];
  collect(shape, 0, data, path, elements);
  return elements;
}

/** Recursion goes as deep as the shape, whose rank is bounded, whatever the data does. */
function collect(
  shape: readonly number[],
  axis: number,
  data: unknown,
  path: string,
  elements: unknown[],
): void {
  const length = shape[axis];
  if (!Array.isArray(data) || data.length !== length) {
    const found = Array.isArray(data) ? `${data.length}` : describeValue(data);
    throw new InvalidInputError(
      `${path}: expected an array of ${length} for dimension ${axis} of shape ${formatShape(shape)}, found ${found}`,
    );
  }
  const innermost = axis === shape.length - 1;
  for (let index = 0; index < data.length; index += 1) {
    if (innermost) elements.push(data[index]);
    else collect(shape, axis + 1, data[index], `${path}[${index}]`, elements);
  }
}

/** A plain value as a message shows it: bounded, and never by a `toString` that came with the value. */
export function describeValue(value: unknown): string {
  switch (typeof value) {
    case 'undefined':
      return 'nothing';
    case 'string':
      return clip(JSON.stringify(value.slice(0, MAX_SHOWN + 1)));
    case 'number':
    case 'bigint':
    case 'boolean':
      return clip(String(value));
    default:
      if (value === null) return 'null';
      return Array.isArray(value) ? `an array of ${value.length}` : 'an object';
  }
}

function clip(text: string): string {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}
