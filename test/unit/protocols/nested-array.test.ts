import { describe, expect, it } from 'vitest';
import { MAX_RANK } from '../../../protocols/limits.ts';
import { nestArray, nestedShape } from '../../../protocols/nested-array.ts';
import { Tensor } from '../../../protocols/tensor.ts';

/** A number in so many arrays. */
function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level += 1) value = [value];
  return value;
}

describe('nestedShape', () => {
  it.each<[unknown, readonly number[]]>([
    [7, []],
    [[], [0]],
    [[[1, 2, 3]], [1, 3]],
    [
      [[], []],
      [2, 0],
    ],
  ])('reads %j as %j', (values, shape) => {
    expect(nestedShape(values)).toEqual(shape);
  });

  it('takes arrays as deep as a tensor has dimensions, and refuses deeper ones and those without end', () => {
    expect(nestedShape(nested(MAX_RANK))).toHaveLength(MAX_RANK);
    expect(() => nestedShape(nested(MAX_RANK + 1))).toThrow(/expected at most 32 dimensions/);
    const endless: unknown[] = [];
    endless.push(endless);
    expect(() => nestedShape(endless)).toThrow(/nested more than 32 deep/);
  });
});

describe('nestArray', () => {
  it.each<[readonly number[], unknown]>([
    [
      [2, 1, 3],
      [[[1, 2, 3]], [[4, 5, 6]]],
    ],
    [[6], [1, 2, 3, 4, 5, 6]],
    [
      [3, 2],
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
    ],
  ])('nests six elements by shape %j', (shape, expected) => {
    expect(nestArray([1, 2, 3, 4, 5, 6], shape)).toEqual(expected);
  });

  it('gives what no element is in as empty arrays, and a scalar as itself', () => {
    expect(nestArray([], [2, 0])).toEqual([[], []]);
    expect(nestArray([], [0, 3])).toEqual([]);
    expect(nestArray([7], [])).toBe(7);
  });

  it('refuses to make many arrays of nothing', () => {
    expect(nestArray([], [65_536, 0])).toHaveLength(65_536);
    expect(() => nestArray([], [65_537, 0])).toThrow(
      expect.objectContaining({ code: 'ERR_LIMIT' }),
    );
    expect(() => nestArray([], [2 ** 31, 0, 3])).toThrow(/expected at most 65536/);
  });
});

describe('Tensor', () => {
  it('takes its shape from nested arrays, and gives them back', () => {
    const values = [
      [1n, 2n],
      [3n, 2n ** 63n - 1n],
    ];
    const tensor = Tensor.of('INT64', values);
    expect(tensor.shape).toEqual([2, 2]);
    expect(tensor.toNestedArray()).toEqual(values);
    expect(Tensor.of('FP32', 0.5).toNestedArray()).toBe(0.5);
  });

  it('reads floating-point elements as numbers, whatever the runtime knows of FP16', () => {
    const half = Tensor.from('FP16', [3], [1, -2.5, Number.NaN]);
    expect([...half.floats()]).toEqual([1, -2.5, Number.NaN]);
    const native = Object.getOwnPropertyDescriptor(globalThis, 'Float16Array');
    Reflect.deleteProperty(globalThis, 'Float16Array');
    try {
      expect(half.floats()).toEqual(Float32Array.of(1, -2.5, Number.NaN));
    } finally {
      if (native !== undefined) Object.defineProperty(globalThis, 'Float16Array', native);
    }
    expect(Tensor.of('FP64', [0.1]).floats()).toEqual(Float64Array.of(0.1));
    expect(() => Tensor.of('INT8', [1]).floats()).toThrow(/reads FP16, FP32 and FP64 tensors/);
  });
});
