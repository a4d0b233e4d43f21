import { describe, expect, it } from 'vitest';
import {
  estimateMemory,
  GPU_CONTEXT_BYTES,
  PROCESS_BYTES,
  type VersionSize,
} from '../../../../src/policy/memory-need.ts';

const SIZE: VersionSize = {
  modelBytes: 1_000_000,
  statedBytes: null,
  inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', 100] }],
  outputs: [{ name: 'y', datatype: 'INT64', shape: [null, 'length', 2] }],
  maxBatch: 8,
};

describe('estimateMemory', () => {
  it('adds weights and activations at the largest batch to the process', () => {
    const tensorBytes = 4 * (8 * 100 * 4 + 8 * 2 * 8);
    expect(estimateMemory(SIZE, false)).toEqual({
      hostBytes: PROCESS_BYTES + 1_350_000 + tensorBytes,
      gpuBytes: 0,
    });
    expect(estimateMemory(SIZE, true)).toEqual({
      hostBytes: PROCESS_BYTES + 1_350_000,
      gpuBytes: GPU_CONTEXT_BYTES + 1_150_000 + tensorBytes,
    });
  });

  it("believes the publisher's figure for all but the process", () => {
    const size = { ...SIZE, statedBytes: 5 };
    expect(estimateMemory(size, false).hostBytes).toBe(PROCESS_BYTES + 5);
    expect(estimateMemory(size, true).gpuBytes).toBe(GPU_CONTEXT_BYTES + 5);
  });

  it('grows with the batch alone where the first dimension is free', () => {
    const fixed = {
      ...SIZE,
      inputs: [],
      outputs: [{ ...SIZE.outputs[0], name: 'y', datatype: 'FP32', shape: [3, null] } as const],
    };
    expect(estimateMemory(fixed, false)).toEqual(estimateMemory({ ...fixed, maxBatch: 1 }, false));
    expect(estimateMemory(SIZE, false)).not.toEqual(
      estimateMemory({ ...SIZE, maxBatch: 1 }, false),
    );
  });
});
