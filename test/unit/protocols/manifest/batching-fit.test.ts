import { describe, expect, it } from 'vitest';
import { findBatchingFaults } from '../../../../protocols/manifest/index.ts';
import type { DeclaredDimension } from '../../../../protocols/types.ts';

const model = (
  input: readonly DeclaredDimension[],
  output: readonly DeclaredDimension[] = ['n'],
) => ({
  inputs: [{ name: 'x', datatype: 'FP32', shape: input }] as const,
  outputs: [{ name: 'y', datatype: 'FP32', shape: output }] as const,
});

describe('findBatchingFaults', () => {
  it('finds none when nothing is asked for, whatever the model is', () => {
    expect(findBatchingFaults({}, model([]))).toEqual([]);
    expect(findBatchingFaults({ maxBatch: 1 }, model([1, 4], []))).toEqual([]);
  });

  it('finds none when the dimension that counts rows is there and free', () => {
    expect(findBatchingFaults({ maxBatch: 8 }, model([null, 4]))).toEqual([]);
    expect(
      findBatchingFaults({ maxBatch: 8, batchDimension: 1 }, model([4, 'n'], [4, 'n'])),
    ).toEqual([]);
  });

  it('names maxBatch when the model fixes its rows', () => {
    expect(findBatchingFaults({ maxBatch: 8 }, model([1, 4]))).toEqual([
      {
        field: 'maxBatch',
        message: "dimension 0 of input 'x' is always 1, expected a free one for batches of 8",
      },
    ]);
  });

  it('names batchDimension when a tensor has no such dimension', () => {
    expect(findBatchingFaults({ batchDimension: 1 }, model(['n', 4]))).toEqual([
      { field: 'batchDimension', message: "tensor 'y' has 1 dimensions, expected more than 1" },
    ]);
  });
});
