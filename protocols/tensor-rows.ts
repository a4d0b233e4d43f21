import { elementBytes } from './datatype.ts';
import { InvalidInputError } from './errors.ts';
import { elementCount, formatShape, Tensor } from './tensor.ts';

/**
 * One tensor of the rows of all, in their order: they are joined along the batch axis. Copies each byte once.
 *
 * @param axis the dimension that counts rows
 * @throws {ERR_INVALID_INPUT} when there is no tensor, one lacks the axis, they differ in datatype or in the shape of a row, or
 *   text is to be joined along another dimension than the first.
 */
export function joinRows(tensors: readonly Tensor[], axis = 0): Tensor {
  const [first] = tensors;
  if (first === undefined) throw new InvalidInputError('expected at least one tensor, found none');
  const slices = slicesOf(first, axis);
  let rows = 0;
  let byteLength = 0;
  for (const [index, tensor] of tensors.entries()) {
    if (!isAlike(tensor, first, axis)) {
      throw new InvalidInputError(
        `tensor ${index} is ${describe(tensor, axis)}, expected ${describe(first, axis)}, as the first has`,
      );
    }
    rows += tensor.shape[axis] ?? 0;
    byteLength += tensor.bytes.byteLength;
  }
  const joined = new Uint8Array(byteLength);
  let at = 0;
  for (let slice = 0; slice < slices; slice += 1) {
    for (const { bytes } of tensors) {
      const share = bytes.byteLength / slices;
      joined.set(slices === 1 ? bytes : bytes.subarray(slice * share, (slice + 1) * share), at);
      at += share;
    }
  }
  return new Tensor(first.datatype, first.shape.with(axis, rows), joined);
}

/**
 * The tensor's rows in groups of so many, in their order: {@link joinRows} undone. Along the first dimension the groups share
 * memory with the tensor.
 *
 * @param axis the dimension that counts rows
 * @throws {ERR_INVALID_INPUT} when the tensor lacks the axis or the groups do not add up to its rows.
 */
export function splitRows(tensor: Tensor, groups: readonly number[], axis = 0): Tensor[] {
  const slices = slicesOf(tensor, axis);
  const total = groups.reduce((sum, rows) => sum + rows, 0);
  if (total !== tensor.shape[axis]) {
    throw new InvalidInputError(
      `tensor of shape ${formatShape(tensor.shape)} cannot be split into ${total} rows, expected ${tensor.shape[axis]}`,
    );
  }
  const { datatype, shape, bytes } = tensor;
  if (datatype === 'BYTES') return splitText(tensor, groups, axis);
  const rowBytes = elementCount(shape.slice(axis + 1)) * (elementBytes(datatype) ?? 0);
  const sliceBytes = total * rowBytes;
  let before = 0;
  return groups.map((rows) => {
    const start = before * rowBytes;
    before += rows;
    const groupShape = shape.with(axis, rows);
    const groupBytes = rows * rowBytes;
    if (slices === 1) {
      return new Tensor(datatype, groupShape, bytes.subarray(start, start + groupBytes));
    }
    const group = new Uint8Array(slices * groupBytes);
    for (let slice = 0; slice < slices; slice += 1) {
      const from = slice * sliceBytes + start;
      group.set(bytes.subarray(from, from + groupBytes), slice * groupBytes);
    }
    return new Tensor(datatype, groupShape, group);
  });
}

/** Elements of text have no common size: they are counted off. */
function splitText(tensor: Tensor, groups: readonly number[], axis: number): Tensor[] {
  const { shape, bytes } = tensor;
  const rowElements = elementCount(shape.slice(axis + 1));
  const elements = tensor.elements();
  let [element, start] = [0, 0];
  return groups.map((rows) => {
    const last = element + rows * rowElements;
    let end = start;
    // Each has a length of 4 bytes before it.
    for (; element < last; element += 1) end += 4 + (elements[element]?.byteLength ?? 0);
    const group = bytes.subarray(start, end);
    start = end;
    return new Tensor('BYTES', shape.with(axis, rows), group);
  });
}

/** Parts in which the rows lie: one along the first dimension, else one for each index before the axis, with its share of every row. */
function slicesOf({ datatype, shape }: Tensor, axis: number): number {
  if (shape.length === 0) {
    throw new InvalidInputError(
      'a scalar has no rows, expected a tensor of at least one dimension',
    );
  }
  if (axis >= shape.length) {
    throw new InvalidInputError(
      `shape ${formatShape(shape)} has no dimension ${axis}, expected one that counts rows`,
    );
  }
  const slices = elementCount(shape.slice(0, axis));
  if (datatype === 'BYTES' && slices !== 1) {
    throw new InvalidInputError(`BYTES tensors are joined along dimension 0 only, not ${axis}`);
  }
  return slices;
}

function isAlike(tensor: Tensor, first: Tensor, axis: number): boolean {
  return (
    tensor.datatype === first.datatype &&
    tensor.shape.length === first.shape.length &&
    tensor.shape.every((size, index) => index === axis || size === first.shape[index])
  );
}

function describe({ datatype, shape }: Tensor, axis: number): string {
  return `${datatype} with rows of shape ${formatShape(shape.toSpliced(axis, 1))}`;
}
