import { elementBytes } from '../../protocols/datatype.ts';
import { InvalidInputError } from '../../protocols/errors.ts';
import { type NamedTensor, Tensor } from '../../protocols/tensor.ts';

/**
 * Joins the inputs of several requests along the batch dimension, in the order of the requests; each byte is copied once.
 *
 * @throws {ERR_INVALID_INPUT} when a tensor of text is to be joined along another dimension than the first.
 */
export function joinTensors(
  requests: readonly (readonly NamedTensor[])[],
  axis: number,
): NamedTensor[] {
  const [first = []] = requests;
  return first.map(({ name }) => {
    const parts = requests.flatMap((inputs) => inputs.filter((input) => input.name === name));
    return {
      name,
      tensor: join(
        parts.map(({ tensor }) => tensor),
        axis,
      ),
    };
  });
}

/**
 * Takes the outputs of a batch apart again: `rows[i]` rows for request `i`. Along the first dimension they are views of the
 * batch's memory, which goes when the last of them was sent.
 *
 * @returns undefined when an output does not have the batch's rows in the batch dimension
 */
export function splitTensors(
  outputs: readonly NamedTensor[],
  rows: readonly number[],
  axis: number,
): NamedTensor[][] | undefined {
  const total = rows.reduce((sum, count) => sum + count, 0);
  if (outputs.some(({ tensor: { shape } }) => shape[axis] !== total)) return undefined;
  const split = outputs.map(({ name, tensor }) => ({ name, parts: cut(tensor, rows, axis) }));
  return rows.map((_, index) =>
    split.flatMap(({ name, parts }) => {
      const tensor = parts[index];
      return tensor === undefined ? [] : [{ name, tensor }];
    }),
  );
}

function join(parts: readonly Tensor[], axis: number): Tensor {
  const [first] = parts;
  if (first === undefined) throw new RangeError('no tensors to join');
  const rows = parts.reduce((sum, { shape }) => sum + (shape[axis] ?? 0), 0);
  const joined = new Uint8Array(parts.reduce((sum, { bytes }) => sum + bytes.byteLength, 0));
  let at = 0;
  // Before the batch dimension lie `outer` slices, of which each part has its share.
  const outer = outerCount(first, axis);
  for (let slice = 0; slice < outer; slice += 1) {
    for (const { bytes } of parts) {
      const share = bytes.byteLength / outer;
      joined.set(bytes.subarray(slice * share, (slice + 1) * share), at);
      at += share;
    }
  }
  return new Tensor(first.datatype, first.shape.with(axis, rows), joined);
}

function cut(tensor: Tensor, rows: readonly number[], axis: number): Tensor[] {
  if (tensor.datatype === 'BYTES') return cutText(tensor, rows, axis);
  const { datatype, shape, bytes } = tensor;
  const outer = outerCount(tensor, axis);
  const inner = shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  const rowBytes = inner * (elementBytes(datatype) ?? 0);
  const sliceBytes = outer === 0 ? 0 : bytes.byteLength / outer;
  let before = 0;
  return rows.map((count) => {
    if (outer === 1) {
      const start = before * rowBytes;
      before += count;
      const part = bytes.subarray(start, start + count * rowBytes);
      return new Tensor(datatype, shape.with(axis, count), part);
    }
    const part = new Uint8Array(outer * count * rowBytes);
    for (let slice = 0; slice < outer; slice += 1) {
      const start = slice * sliceBytes + before * rowBytes;
      part.set(bytes.subarray(start, start + count * rowBytes), slice * count * rowBytes);
    }
    before += count;
    return new Tensor(datatype, shape.with(axis, count), part);
  });
}

/** Elements of text have no common size: they are counted off. */
function cutText(tensor: Tensor, rows: readonly number[], axis: number): Tensor[] {
  outerCount(tensor, axis);
  const { shape, bytes } = tensor;
  const inner = shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  const elements = tensor.elements();
  let [element, start] = [0, 0];
  return rows.map((count) => {
    const end = element + count * inner;
    let stop = start;
    // Each has a length of 4 bytes before it.
    for (; element < end; element += 1) stop += 4 + (elements[element]?.byteLength ?? 0);
    const part = bytes.subarray(start, stop);
    start = stop;
    return new Tensor('BYTES', shape.with(axis, count), part);
  });
}

function outerCount({ datatype, shape }: Tensor, axis: number): number {
  const outer = shape.slice(0, axis).reduce((product, size) => product * size, 1);
  if (datatype === 'BYTES' && outer !== 1) {
    throw new InvalidInputError(`BYTES tensors are joined along dimension 0 only, not ${axis}`);
  }
  return outer;
}
