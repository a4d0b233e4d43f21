/** The fields that requests of the Open Inference Protocol have in JSON: from unknown to typed, or a sentence that says where and why not. */

import { InvalidInputError, isSwarmError } from '../../protocols/errors.ts';
import { MAX_NAME_BYTES, MAX_TENSORS } from '../../protocols/limits.ts';
import { describeValue } from '../../protocols/nested-array.ts';
import { elementCount } from '../../protocols/shape.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** @param path where the value stands in the request, here and below; all throw {ERR_INVALID_INPUT} that begins with it */
export function asObject(value: unknown, path: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as JsonObject;
  }
  throw wrongField(path, 'an object', value);
}

/** A list of tensors or of dimensions, as long as a request may have one. */
export function asArray(value: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(value)) throw wrongField(path, 'an array', value);
  if (value.length <= MAX_TENSORS) return value;
  throw new InvalidInputError(
    `${path}: expected at most ${MAX_TENSORS} items, found ${value.length}`,
  );
}

/** The name of a tensor. */
export function parseName(value: unknown, path: string): string {
  if (typeof value !== 'string' || value === '') throw wrongField(path, 'a name', value);
  const bytes = Buffer.byteLength(value);
  if (bytes <= MAX_NAME_BYTES) return value;
  throw new InvalidInputError(`${path} has ${bytes} bytes, expected at most ${MAX_NAME_BYTES}`);
}

export function parseShape(value: unknown, path: string): readonly number[] {
  const shape = asArray(value, path).map((size, axis) => {
    if (typeof size === 'number') return size;
    throw wrongField(`${path}[${axis}]`, 'an integer >= 0', size);
  });
  try {
    elementCount(shape);
  } catch (cause) {
    if (!isSwarmError(cause)) throw cause;
    throw new InvalidInputError(`${path}: ${cause.message}`, { cause });
  }
  return shape;
}

/** A text that need not be there. */
export function parseText(value: unknown, path: string): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  throw wrongField(path, 'a string', value);
}

export function wrongField(path: string, expected: string, found: unknown): InvalidInputError {
  return new InvalidInputError(`${path}: expected ${expected}, found ${describeValue(found)}`);
}
