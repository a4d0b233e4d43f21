import type { NamedTensor, Tensor } from '../../protocols/tensor.ts';
import { joinRows, splitRows } from '../../protocols/tensor-rows.ts';

/**
 * Joins the inputs of several requests along the batch dimension, in the order of the requests; each byte is copied once.
 *
 * @throws {ERR_INVALID_INPUT} as {@link joinRows} does.
 */
export function joinTensors(
  requests: readonly (readonly NamedTensor[])[],
  axis: number,
): NamedTensor[] {
  const [first = []] = requests;
  return first.map(({ name }) => {
    const tensors: Tensor[] = [];
    for (const inputs of requests) {
      for (const input of inputs) if (input.name === name) tensors.push(input.tensor);
    }
    return { name, tensor: joinRows(tensors, axis) };
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
  const split = outputs.map(({ name, tensor }) => ({ name, parts: splitRows(tensor, rows, axis) }));
  return rows.map((_, index) => {
    const own: NamedTensor[] = [];
    for (const { name, parts } of split) {
      const tensor = parts[index];
      if (tensor !== undefined) own.push({ name, tensor });
    }
    return own;
  });
}
