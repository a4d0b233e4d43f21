import { InvalidInputError } from './errors.ts';
import { formatShape, Tensor } from './tensor.ts';

/**
 * One tensor of the rows of all, in their order: they are joined along the first axis, the batch. Copies each of them once.
 *
 * @throws {ERR_INVALID_INPUT} when there is none, one is a scalar, or they differ in datatype or in the shape of a row.
 */
export function joinRows(tensors: readonly Tensor[]): Tensor {
  const [first] = tensors;
  if (first === undefined) throw new InvalidInputError('expected at least one tensor, found none');
  const row = rowShape(first);
  let rows = 0;
  let byteLength = 0;
  for (const [index, tensor] of tensors.entries()) {
    const isAlike =
      tensor.datatype === first.datatype && formatShape(rowShape(tensor)) === formatShape(row);
    if (!isAlike) {
      throw new InvalidInputError(
        `tensor ${index} is ${tensor.datatype} with rows of shape ${formatShape(rowShape(tensor))}, expected ${first.datatype} with rows of shape ${formatShape(row)}, as the first has`,
      );
    }
    rows += tensor.shape[0] ?? 0;
    byteLength += tensor.bytes.byteLength;
  }
  const bytes = new Uint8Array(byteLength);
  let offset = 0;
  for (const tensor of tensors) {
    bytes.set(tensor.bytes, offset);
    offset += tensor.bytes.byteLength;
  }
  return new Tensor(first.datatype, [rows, ...row], bytes);
}

/**
 * The tensor's rows in groups of so many, in their order: {@link joinRows} undone. The groups share memory with the tensor.
 *
 * @throws {ERR_INVALID_INPUT} when it is a scalar or the groups do not add up to its rows.
 */
export function splitRows(tensor: Tensor, groups: readonly number[]): Tensor[] {
  const row = rowShape(tensor);
  const total = groups.reduce((sum, rows) => sum + rows, 0);
  if (total !== tensor.shape[0]) {
    throw new InvalidInputError(
      `tensor of shape ${formatShape(tensor.shape)} cannot be split into ${total} rows, expected ${tensor.shape[0]}`,
    );
  }
  const ends = rowEnds(tensor, total);
  let first = 0;
  return groups.map((rows) => {
    const from = first === 0 ? 0 : (ends[first - 1] ?? 0);
    first += rows;
    const to = first === 0 ? 0 : (ends[first - 1] ?? 0);
    return new Tensor(tensor.datatype, [rows, ...row], tensor.bytes.subarray(from, to));
  });
}

/** Where the bytes of each row end. */
function rowEnds(tensor: Tensor, rows: number): number[] {
  if (rows === 0) return [];
  if (tensor.datatype !== 'BYTES') {
    const rowBytes = tensor.bytes.byteLength / rows;
    return Array.from({ length: rows }, (_, row) => (row + 1) * rowBytes);
  }
  const elements = tensor.elements();
  const perRow = elements.length / rows;
  const ends: number[] = [];
  let offset = 0;
  for (const [index, element] of elements.entries()) {
    offset += 4 + element.byteLength;
    if ((index + 1) % perRow === 0) ends.push(offset);
  }
  // Rows without an element end where they begin.
  return perRow === 0 ? Array.from({ length: rows }, () => 0) : ends;
}

function rowShape({ shape }: Tensor): readonly number[] {
  if (shape.length > 0) return shape.slice(1);
  throw new InvalidInputError('a scalar has no rows, expected a tensor of at least one dimension');
}
