import { InvalidInputError } from './errors.ts';
import { MAX_DIMENSION, MAX_RANK } from './limits.ts';

/**
 * The number of elements of a shape.
 *
 * @throws {ERR_INVALID_INPUT} when a dimension is not an integer from 0 to {@link MAX_DIMENSION}, there are too many, or the product overflows.
 */
export function elementCount(shape: readonly number[]): number {
  if (shape.length > MAX_RANK) {
    throw new InvalidInputError(
      `shape has ${shape.length} dimensions, expected at most ${MAX_RANK}`,
    );
  }
  let count = 1;
  let largest = 0;
  // Not `for … of`, which V8 calls out for where a list is frozen, as those of headers are: this is called for each request.
  for (let axis = 0; axis < shape.length; axis += 1) {
    const dimension = shape[axis];
    if (dimension === undefined || !Number.isSafeInteger(dimension) || dimension < 0) {
      throw new InvalidInputError(
        `shape ${formatShape(shape)} has dimension ${String(dimension)}, expected an integer >= 0`,
      );
    }
    if (dimension > largest) largest = dimension;
    count *= dimension;
  }
  if (!Number.isSafeInteger(count)) {
    throw new InvalidInputError(
      `shape ${formatShape(shape)} causes total element count to exceed maximum size of ${Number.MAX_SAFE_INTEGER}`,
    );
  }
  // Beside a 0 it would cost the caller no byte, and the model would be what failed.
  if (largest > MAX_DIMENSION) {
    throw new InvalidInputError(
      `shape ${formatShape(shape)} has dimension ${largest}, expected at most ${MAX_DIMENSION}`,
    );
  }
  return count;
}

/** `[1, 3, 224]`, with `?` for a free dimension without a name. */
export function formatShape(shape: readonly (number | string | null)[]): string {
  return `[${shape.map((dimension) => dimension ?? '?').join(', ')}]`;
}
