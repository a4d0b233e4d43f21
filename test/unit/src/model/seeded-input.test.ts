import { describe, expect, it } from 'vitest';
import { DATATYPES } from '../../../../protocols/datatype.ts';
import type { TensorSpec } from '../../../../protocols/types.ts';
import { createSeededInputs } from '../../../../src/model/seeded-input.ts';

const INIT = { seed: 1, rows: 2, freeSize: 3, plain: false, maxElements: 1_000 };

describe('createSeededInputs', () => {
  it('gives equal inputs for equal seeds, on any machine, and others for others', () => {
    const specs: TensorSpec[] = DATATYPES.map((datatype) => ({
      name: datatype,
      datatype,
      shape: [4],
    }));
    const made = createSeededInputs(specs, INIT);
    expect(createSeededInputs(specs, INIT)).toEqual(made);
    expect(createSeededInputs(specs, { ...INIT, seed: 2 })).not.toEqual(made);
    const values = Object.fromEntries(
      (made ?? []).map(({ name, tensor }) => [name, tensor.toArray()]),
    );
    expect(values).toMatchInlineSnapshot(`
      {
        "BOOL": [
          true,
          true,
          true,
          false,
        ],
        "BYTES": [
          "swarm of of",
          "α",
          "naïve naïve 7 of",
          "of",
        ],
        "FP16": [
          0.6875,
          -1,
          -0.1875,
          0.5625,
        ],
        "FP32": [
          0.625,
          0.6875,
          -0.875,
          1,
        ],
        "FP64": [
          -0.875,
          -0.25,
          0.0625,
          -0.5,
        ],
        "INT16": [
          0,
          0,
          1,
          1,
        ],
        "INT32": [
          1,
          1,
          1,
          0,
        ],
        "INT64": [
          0n,
          0n,
          1n,
          1n,
        ],
        "INT8": [
          0,
          1,
          1,
          1,
        ],
        "UINT16": [
          1,
          0,
          0,
          1,
        ],
        "UINT32": [
          1,
          0,
          1,
          1,
        ],
        "UINT64": [
          1n,
          1n,
          0n,
          1n,
        ],
        "UINT8": [
          1,
          0,
          0,
          0,
        ],
      }
    `);
  });

  it('fills free dimensions, the first with rows, and gives those of one name one size', () => {
    const made = createSeededInputs(
      [
        { name: 'a', datatype: 'FP32', shape: ['n', null, 5] },
        { name: 'b', datatype: 'FP32', shape: [null, 't'] },
        { name: 'c', datatype: 'FP32', shape: [1, 'n', 't'] },
        { name: 'd', datatype: 'FP32', shape: [] },
      ],
      INIT,
    );
    expect(made?.map(({ tensor }) => tensor.shape)).toEqual([[2, 3, 5], [2, 3], [1, 2, 3], []]);
  });

  it('gives none beyond the elements allowed', () => {
    const specs: TensorSpec[] = [{ name: 'a', datatype: 'UINT8', shape: ['n', 500] }];
    expect(createSeededInputs(specs, INIT)?.[0]?.tensor.size).toBe(1_000);
    expect(createSeededInputs(specs, { ...INIT, maxElements: 999 })).toBeUndefined();
    const vast: TensorSpec[] = [{ name: 'a', datatype: 'UINT8', shape: Array(32).fill(2 ** 31) }];
    expect(createSeededInputs(vast, INIT)).toBeUndefined();
  });

  it('keeps floats between -1 and 1 and integers at 0 and 1', () => {
    const made = createSeededInputs(
      [
        { name: 'f', datatype: 'FP16', shape: [400] },
        { name: 'i', datatype: 'INT32', shape: [400] },
      ],
      INIT,
    );
    const [floats = [], integers = []] = (made ?? []).map(
      ({ tensor }) => tensor.toArray() as number[],
    );
    expect([Math.min(...floats), Math.max(...floats)]).toEqual([-1, 1]);
    expect(new Set(integers)).toEqual(new Set([0, 1]));
  });

  it('keeps to floats from 0 to 1 and to digits when plain ones are wanted', () => {
    const made = createSeededInputs(
      [
        { name: 'f', datatype: 'FP32', shape: [400] },
        { name: 's', datatype: 'BYTES', shape: [40] },
      ],
      { ...INIT, plain: true },
    );
    const floats = made?.[0]?.tensor.toArray() as number[];
    expect([Math.min(...floats), Math.max(...floats)]).toEqual([0, 1]);
    expect(made?.[1]?.tensor.strings().every((text) => /^\d$/.test(text))).toBe(true);
  });
});
