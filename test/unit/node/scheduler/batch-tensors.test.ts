import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { joinTensors, splitTensors } from '../../../../node/scheduler/batch-tensors.ts';
import { type NamedTensor, Tensor } from '../../../../protocols/tensor.ts';

const x = (tensor: Tensor): NamedTensor[] => [{ name: 'x', tensor }];
const floats = (shape: readonly number[], first = 0): Tensor =>
  Tensor.from(
    'FP32',
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, index) => first + index),
  );

describe('joinTensors', () => {
  it('joins along the first dimension', () => {
    const joined = joinTensors([x(floats([1, 2])), x(floats([2, 2], 10))], 0);
    expect(joined).toEqual(x(Tensor.from('FP32', [3, 2], [0, 1, 10, 11, 12, 13])));
  });

  it('joins along another dimension', () => {
    const joined = joinTensors([x(floats([2, 1])), x(floats([2, 2], 10))], 1);
    expect(joined).toEqual(x(Tensor.from('FP32', [2, 3], [0, 10, 11, 1, 12, 13])));
  });

  it('finds each input by its name, whatever the order', () => {
    const [a, b] = [1, 2].map((value) => Tensor.from('INT64', [1], [BigInt(value)]));
    const named = (...pairs: readonly [string, Tensor | undefined][]) =>
      pairs.flatMap(([name, tensor]) => (tensor === undefined ? [] : [{ name, tensor }]));
    const joined = joinTensors([named(['p', a], ['q', b]), named(['q', b], ['p', a])], 0);
    expect(joined.map(({ name, tensor }) => [name, tensor.toArray()])).toEqual([
      ['p', [1n, 1n]],
      ['q', [2n, 2n]],
    ]);
  });

  it('joins text along the first dimension only', () => {
    const text = (...words: readonly string[]) => x(Tensor.from('BYTES', [words.length, 1], words));
    expect(joinTensors([text('a'), text('bc', '')], 0)).toEqual(text('a', 'bc', ''));
    const wide = x(Tensor.from('BYTES', [2, 1], ['a', 'b']));
    expect(() => joinTensors([wide, wide], 1)).toThrow(
      'BYTES tensors are joined along dimension 0 only, not 1',
    );
  });
});

describe('splitTensors', () => {
  it('gives back what was joined, along any dimension', () => {
    const shapes = fc.record({
      outer: fc.integer({ min: 1, max: 3 }),
      inner: fc.integer({ min: 0, max: 3 }),
      rows: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
      axis: fc.constantFrom(0, 1),
    });
    fc.assert(
      fc.property(shapes, ({ outer, inner, rows, axis }) => {
        const parts = rows.map((count, index) =>
          x(floats(axis === 0 ? [count, inner] : [outer, count, inner], 100 * index)),
        );
        const split = splitTensors(joinTensors(parts, axis), rows, axis);
        const plain = (tensors: readonly NamedTensor[] | undefined) =>
          tensors?.map(({ name, tensor }) => [name, tensor.shape, tensor.toArray()]);
        expect(split?.map(plain)).toEqual(parts.map(plain));
      }),
    );
  });

  it('counts text off', () => {
    const tensor = Tensor.from('BYTES', [3, 2], ['a', '', 'bcd', 'e', '', 'ż']);
    const split = splitTensors(x(tensor), [1, 2], 0);
    expect(split?.map(([part]) => part?.tensor.strings())).toEqual([
      ['a', ''],
      ['bcd', 'e', '', 'ż'],
    ]);
  });

  it('tells when an output has other rows', () => {
    expect(splitTensors(x(floats([3, 2])), [1, 1], 0)).toBeUndefined();
    expect(splitTensors(x(floats([])), [1, 1], 0)).toBeUndefined();
    const both = [...x(floats([2])), { name: 'y', tensor: floats([1]) }];
    expect(splitTensors(both, [1, 1], 0)).toBeUndefined();
  });
});
