import type { NamedTensor } from '../../protocols/tensor.ts';

/** What requests must have in common to run as one batch, and how much of it one is. */
export interface BatchForm {
  /** Equal for requests that may run together. */
  readonly key: string;
  /** Rows of the request: the size that its inputs have in the batch dimension. */
  readonly rows: number;
}

/**
 * The form of a request for batches along a dimension: all but that dimension's size must agree, and the outputs wanted too. Pure.
 *
 * @returns undefined for a request that can only run alone: without inputs, with one that lacks the dimension, or with inputs that
 *   do not agree on the number of rows, or have none
 */
export function batchFormOf(
  inputs: readonly NamedTensor[],
  outputs: readonly string[],
  axis: number,
): BatchForm | undefined {
  const rows = inputs[0]?.tensor.shape[axis];
  if (rows === undefined || rows === 0) return undefined;
  if (inputs.some(({ tensor }) => tensor.shape[axis] !== rows)) return undefined;
  const forms = inputs.map((input) => formOf(input, axis));
  if (forms.length > 1) forms.sort();
  const wanted = outputs.length === 0 ? '' : JSON.stringify(outputs);
  return { key: `${forms.join()}>${wanted}`, rows };
}

/** Text for text another for each form: what may be any text, the name, is quoted. */
function formOf({ name, tensor: { datatype, shape } }: NamedTensor, axis: number): string {
  let form = `${JSON.stringify(name)}:${datatype}`;
  for (let dimension = 0; dimension < shape.length; dimension += 1) {
    form += dimension === axis ? ',*' : `,${shape[dimension]}`;
  }
  return form;
}
