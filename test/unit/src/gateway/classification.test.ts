import { describe, expect, it } from 'vitest';
import { Tensor } from '../../../../protocols/tensor.ts';
import { classify } from '../../../../src/gateway/classification.ts';

const of = (tensor: Tensor) => ({ shape: tensor.shape, values: tensor.strings() });

describe('classify', () => {
  it('ranks each row of a batch, with labels as far as there are any', () => {
    const tensor = Tensor.from('FP32', [2, 3], [0.5, 2, 1, 9, 8, 7]);
    expect(of(classify('y', tensor, 2, ['a', 'b']))).toEqual({
      shape: [2, 2],
      values: ['2:1:b', '1:2', '9:0:a', '8:1:b'],
    });
  });

  it('answers with as many classes as there are, and a vector without a batch', () => {
    const tensor = Tensor.from('INT64', [2], [2n ** 60n, -1n]);
    expect(of(classify('y', tensor, 9))).toEqual({
      shape: [2],
      values: ['1152921504606846976:0', '-1:1'],
    });
  });

  it('puts NaN last and the first of equals first', () => {
    const tensor = Tensor.from('FP32', [4], [Number.NaN, 1, 1, Number.NEGATIVE_INFINITY]);
    expect(of(classify('y', tensor, 4)).values).toEqual(['1:1', '1:2', '-Infinity:3', 'NaN:0']);
  });

  it('refuses what has no order', () => {
    const text = Tensor.from('BYTES', [1], ['a']);
    expect(() => classify('y', text, 1)).toThrow(/expected numbers for a classification/);
  });
});
