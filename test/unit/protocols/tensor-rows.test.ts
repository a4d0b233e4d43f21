import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Tensor } from '../../../protocols/tensor.ts';
import { joinRows, splitRows } from '../../../protocols/tensor-rows.ts';

describe('joinRows', () => {
  it('joins tensors of any number of rows along the first axis', () => {
    const joined = joinRows([
      Tensor.of('FP32', [[1, 2]]),
      Tensor.of('FP32', [
        [3, 4],
        [5, 6],
      ]),
    ]);
    expect(joined.shape).toEqual([3, 2]);
    expect(joined.toArray()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it.each<[string, Tensor[], string]>([
    ['nothing', [], 'expected at least one tensor'],
    ['scalars', [Tensor.of('FP32', 1)], 'a scalar has no rows'],
    [
      'two datatypes',
      [Tensor.of('FP32', [1]), Tensor.of('INT32', [1])],
      'tensor 1 is INT32 with rows of shape [], expected FP32 with rows of shape []',
    ],
    [
      'rows of two shapes',
      [Tensor.of('FP32', [[1]]), Tensor.of('FP32', [[1, 2]])],
      'rows of shape [2], expected FP32 with rows of shape [1]',
    ],
  ])('refuses %s', (_, tensors, message) => {
    expect(() => joinRows(tensors)).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_INPUT',
        message: expect.stringContaining(message),
      }),
    );
  });
});

describe('joinRows, along another axis,', () => {
  it('interleaves what lies before it, and splitRows undoes that', () => {
    const [narrow, wide] = [
      Tensor.of('INT32', [
        [[1], [2]],
        [[3], [4]],
      ]),
      Tensor.of('INT32', [[[5]], [[6]]]),
    ];
    const joined = joinRows([narrow, wide], 1);
    expect(joined.shape).toEqual([2, 3, 1]);
    expect(joined.toArray()).toEqual([1, 2, 5, 3, 4, 6]);
    const split = splitRows(joined, [2, 1], 1);
    expect(split.map((tensor) => tensor.toArray())).toEqual([
      [1, 2, 3, 4],
      [5, 6],
    ]);
  });

  it('refuses an axis that a tensor does not have, and other sizes before it', () => {
    expect(() => joinRows([Tensor.of('FP32', [1])], 1)).toThrow('shape [1] has no dimension 1');
    expect(() => joinRows([Tensor.of('FP32', [[1]]), Tensor.of('FP32', [[1], [2]])], 1)).toThrow(
      'rows of shape [2], expected FP32 with rows of shape [1]',
    );
  });
});

describe('splitRows', () => {
  it('gives back what joinRows joined, strings too', () => {
    const texts = fc.array(fc.tuple(fc.string({ unit: 'grapheme' }), fc.string()), {
      maxLength: 3,
    });
    const batches = fc.array(texts, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(batches, (groups) => {
        const tensors = groups.map((rows) => {
          const elements = rows.flat().filter((text) => text.isWellFormed());
          fc.pre(elements.length === rows.length * 2);
          return Tensor.from('BYTES', [rows.length, 2], elements);
        });
        const split = splitRows(
          joinRows(tensors),
          groups.map((rows) => rows.length),
        );
        expect(split.map((tensor) => tensor.toArray())).toEqual(
          tensors.map((tensor) => tensor.toArray()),
        );
      }),
    );
  });

  it('splits rows without elements', () => {
    const [first, second] = splitRows(new Tensor('BYTES', [3, 0], new Uint8Array()), [1, 2]);
    expect([first?.shape, second?.shape]).toEqual([
      [1, 0],
      [2, 0],
    ]);
  });

  it('gives rows that read as numbers wherever they stand in memory', () => {
    const joined = joinRows([Tensor.of('FP16', [[1, 2, 3]]), Tensor.of('FP16', [[4, 5, 6]])]);
    expect(splitRows(joined, [1, 1]).map((row) => [...row.floats()])).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ]);
  });

  it('refuses groups that are not all of its rows', () => {
    expect(() => splitRows(Tensor.of('FP32', [1, 2, 3]), [1, 1])).toThrow(
      'tensor of shape [3] cannot be split into 2 rows, expected 3',
    );
  });
});
