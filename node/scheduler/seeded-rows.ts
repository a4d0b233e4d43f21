import type { NamedTensor } from '../../protocols/tensor.ts';
import type { TensorSpec } from '../../protocols/types.ts';
import { createSeededInputs, SEEDED_INPUT_KINDS } from '../../src/model/seeded-input.ts';

export interface SeededRowsInit {
  /** The dimension that counts rows; one that is free counts one. */
  readonly axis: number;
  /** One request of one row is made of each. */
  readonly seeds: readonly number[];
  /** Elements of one request's inputs at most. */
  readonly maxElements: number;
}

/** Requests of one row to try a model with, of one kind of numbers after the other: which of them it takes is found out by trying. */
export function* seededRows(
  specs: readonly TensorSpec[],
  { axis, seeds, maxElements }: SeededRowsInit,
): Generator<readonly (readonly NamedTensor[])[]> {
  const rowSpecs = specs.map((spec) => oneRow(spec, axis));
  for (const kind of SEEDED_INPUT_KINDS) {
    const made = seeds.map((seed) =>
      createSeededInputs(rowSpecs, { ...kind, seed, rows: 1, maxElements }),
    );
    const rows = made.filter((row) => row !== undefined);
    if (rows.length === seeds.length) yield rows;
  }
}

function oneRow({ name, datatype, shape }: TensorSpec, axis: number): TensorSpec {
  const dimension = shape[axis];
  if (dimension === undefined || typeof dimension === 'number') return { name, datatype, shape };
  return { name, datatype, shape: shape.with(axis, 1) };
}
