import { InvalidInputError } from '../../protocols/errors.ts';
import { elementCount, Tensor } from '../../protocols/tensor.ts';
import { shown } from './models/shown-name.ts';

/**
 * The greatest values of each row of a batch as `value:index` or `value:index:label`, best first. A tensor of two or more dimensions
 * is a batch along its first.
 *
 * @returns BYTES [batch, n], or [n] where there is no batch; n is `classes`, or how many there are when those are fewer
 * @throws {ERR_INVALID_INPUT} when the tensor has no numbers to rank.
 * @see https://github.com/triton-inference-server/server, docs/protocol/extension_classification.md
 */
export function classify(
  name: string,
  tensor: Tensor,
  classes: number,
  labels: readonly string[] = [],
): Tensor {
  const { datatype, shape } = tensor;
  if (datatype === 'BYTES' || datatype === 'BOOL') {
    throw new InvalidInputError(
      `output ${shown(name)} is ${datatype}, expected numbers for a classification`,
    );
  }
  const batched = shape.length > 1;
  const rows = batched ? (shape[0] ?? 0) : 1;
  const width = elementCount(batched ? shape.slice(1) : shape);
  const count = Math.min(classes, width);
  const values = tensor.toArray() as (number | bigint)[];
  const texts = Array.from({ length: rows }, (_, row) => {
    const ranked = values
      .slice(row * width, (row + 1) * width)
      .map((value, index) => ({ value, index }))
      .sort(byValue);
    return ranked.slice(0, count).map(({ value, index }) => describe(value, index, labels[index]));
  }).flat();
  return Tensor.from('BYTES', batched ? [rows, count] : [count], texts);
}

interface Ranked {
  readonly value: number | bigint;
  readonly index: number;
}

/** NaN is never the best; of equals the first is. */
function byValue(a: Ranked, b: Ranked): number {
  if (Number.isNaN(a.value)) return Number.isNaN(b.value) ? a.index - b.index : 1;
  if (Number.isNaN(b.value)) return -1;
  if (a.value === b.value) return a.index - b.index;
  return a.value > b.value ? -1 : 1;
}

function describe(value: number | bigint, index: number, label: string | undefined): string {
  return label === undefined ? `${value}:${index}` : `${value}:${index}:${label}`;
}
