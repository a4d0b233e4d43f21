import type { Datatype } from '../../protocols/datatype.ts';

/** A tensor by its form alone. */
export interface TensorForm {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
}

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
  inputs: readonly TensorForm[],
  outputs: readonly string[],
  axis: number,
): BatchForm | undefined {
  const rows = inputs[0]?.shape[axis];
  if (rows === undefined || rows === 0) return undefined;
  if (inputs.some(({ shape }) => shape[axis] !== rows)) return undefined;
  const forms = inputs
    .map(({ name, datatype, shape }) => [name, datatype, shape.toSpliced(axis, 1, -1)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return { key: JSON.stringify([forms, outputs]), rows };
}
