import { InvalidModelError } from '../../../protocols/errors.ts';
import type { ResolvedEmbedding } from '../../../protocols/manifest/index.ts';
import { formatShape } from '../../../protocols/shape.ts';
import type { Tensor } from '../../../protocols/tensor.ts';

/**
 * The vector of each text, made of what the model gave for it.
 *
 * @param lengths tokens of each text; rows beyond these are nobody's
 * @throws {ERR_INVALID_MODEL} when the output is not as the manifest says, or a vector is not made of finite numbers.
 */
export function poolVectors(
  output: Tensor,
  lengths: readonly number[],
  { pooling, normalize }: Pick<ResolvedEmbedding, 'pooling' | 'normalize'>,
): Float32Array[] {
  const { shape } = output;
  const [rows = 0, tokens = 0] = shape;
  const size = shape.at(-1) ?? 0;
  const longest = Math.max(...lengths);
  const fits = pooling === 'none' ? shape.length === 2 : shape.length === 3 && tokens >= longest;
  if (!fits || rows < lengths.length || size === 0) {
    throw new InvalidModelError(
      `the model gave ${formatShape(shape)} for ${lengths.length} texts of up to ${longest} tokens, expected a vector ${pooling === 'none' ? 'of each text' : 'of each token'}`,
    );
  }
  const values = output.floats();
  return lengths.map((length, row) => {
    const at = (token: number): number => (row * tokens + token) * size;
    const vector = new Float32Array(size);
    if (pooling === 'none') vector.set(values.subarray(row * size, (row + 1) * size));
    else if (pooling === 'mean') addMean(vector, values, { from: at(0), length });
    else {
      const start = at(pooling === 'cls' ? 0 : length - 1);
      vector.set(values.subarray(start, start + size));
    }
    return finished(vector, normalize);
  });
}

/** The first numbers of a vector, at its length when that is 1. */
export function cutVector(
  vector: Float32Array,
  dimensions: number,
  { normalize }: Pick<ResolvedEmbedding, 'normalize'>,
): Float32Array {
  return dimensions >= vector.length ? vector : finished(vector.slice(0, dimensions), normalize);
}

function addMean(
  vector: Float32Array,
  values: { readonly [index: number]: number },
  { from, length }: { readonly from: number; readonly length: number },
): void {
  const size = vector.length;
  for (let dimension = 0; dimension < size; dimension += 1) {
    let sum = 0;
    for (let token = 0; token < length; token += 1) {
      sum += values[from + token * size + dimension] ?? 0;
    }
    vector[dimension] = sum / length;
  }
}

function finished(vector: Float32Array, normalize: boolean): Float32Array {
  const norm = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  // JSON has no word for what is not finite, and whoever compares vectors no use.
  if (!Number.isFinite(norm)) {
    throw new InvalidModelError('the model gave a vector that is not made of finite numbers');
  }
  return normalize && norm > 0 ? vector.map((value) => value / norm) : vector;
}
