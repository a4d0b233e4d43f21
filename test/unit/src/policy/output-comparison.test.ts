import { describe, expect, it } from 'vitest';
import { type NamedTensor, Tensor } from '../../../../protocols/tensor.ts';
import {
  describeOutputDifference,
  findOutputDifference,
} from '../../../../src/policy/output-comparison.ts';

const TOLERANCE = { absolute: 0.5, relative: 0.25 };

function compare(expected: Tensor, found: Tensor, tolerance = TOLERANCE) {
  const named = (tensor: Tensor): NamedTensor[] => [{ name: 'y', tensor }];
  return findOutputDifference(named(expected), named(found), () => tolerance);
}

const fp32 = (...values: number[]) => Tensor.from('FP32', [values.length], values);

describe('findOutputDifference', () => {
  it('lets floats differ by the absolute tolerance plus a share of what is expected', () => {
    // 0.5 + 0.25 × |−4| = 1.5, which each of these can hold exactly.
    for (const datatype of ['FP16', 'FP32', 'FP64'] as const) {
      const tensor = (value: number) => Tensor.from(datatype, [1], [value]);
      expect(compare(tensor(-4), tensor(-5.5))).toBeUndefined();
      expect(compare(tensor(-4), tensor(-2.5))).toBeUndefined();
      expect(compare(tensor(-4), tensor(-5.5078125))).toEqual({
        output: 'y',
        element: 0,
        expected: '-4',
        found: expect.stringMatching(/^-5.50/) as unknown,
        tolerance: TOLERANCE,
      });
    }
  });

  it('finds the first element that differs', () => {
    expect(compare(fp32(1, 2, 3, 4), fp32(1, 2, 9, 9))).toMatchObject({ element: 2 });
  });

  it('holds NaN equal to NaN, and an infinity to itself alone', () => {
    const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
    expect(compare(fp32(nan, inf, -inf), fp32(nan, inf, -inf))).toBeUndefined();
    const wide = { absolute: 1e6, relative: 1e6 };
    for (const [want, have] of [
      [nan, 1],
      [1, nan],
      [inf, -inf],
      [inf, 3e38],
      [3e38, inf],
    ] as const) {
      expect(compare(fp32(want), fp32(have), wide)).toMatchObject({ element: 0 });
    }
  });

  it('holds zeros of both signs equal', () => {
    expect(compare(fp32(0), fp32(-0), { absolute: 0, relative: 0 })).toBeUndefined();
  });

  it.each([
    [Tensor.from('INT64', [2], [1n, 2n ** 60n]), Tensor.from('INT64', [2], [1n, 2n ** 60n + 1n])],
    [Tensor.from('UINT8', [2], [1, 7]), Tensor.from('UINT8', [2], [1, 8])],
    [Tensor.from('BOOL', [2], [true, true]), Tensor.from('BOOL', [2], [true, false])],
    [Tensor.from('BYTES', [2], ['a', 'b']), Tensor.from('BYTES', [2], ['a', 'c'])],
  ])('wants exactly the same of what is no float: %#', (expected, found) => {
    expect(compare(expected, expected)).toBeUndefined();
    expect(compare(expected, found)).toMatchObject({ element: 1, tolerance: null });
  });

  it('wants the same datatype and shape', () => {
    expect(compare(fp32(1, 2), Tensor.from('FP32', [1, 2], [1, 2]))).toMatchObject({
      element: null,
      expected: 'FP32[2]',
      found: 'FP32[1, 2]',
    });
    expect(compare(fp32(1), Tensor.from('FP64', [1], [1]))).toMatchObject({ found: 'FP64[1]' });
  });

  it('wants every output that is expected, and no other', () => {
    const y = { name: 'y', tensor: fp32(1) };
    const z = { name: 'z', tensor: fp32(2) };
    expect(findOutputDifference([y], [z, y], () => TOLERANCE)).toBeUndefined();
    expect(findOutputDifference([y, z], [y], () => TOLERANCE)).toMatchObject({
      output: 'z',
      element: null,
      found: 'missing',
    });
  });

  it('takes the tolerance of each output by its name', () => {
    const expected = [
      { name: 'loose', tensor: fp32(0) },
      { name: 'tight', tensor: fp32(0) },
    ];
    const found = expected.map(({ name }) => ({ name, tensor: fp32(1) }));
    const difference = findOutputDifference(expected, found, (name) => ({
      absolute: name === 'loose' ? 1 : 0.5,
      relative: 0,
    }));
    expect(difference?.output).toBe('tight');
  });
});

describe('describeOutputDifference', () => {
  it('says where, what was expected, what was found, and what was allowed', () => {
    const difference = compare(fp32(1), fp32(2.5));
    expect(difference && describeOutputDifference(difference)).toBe(
      "element 0 of output 'y' is 2.5, expected 1 within 0.5 absolute and 0.25 relative",
    );
    const text = compare(Tensor.from('BYTES', [1], ['ü']), Tensor.from('BYTES', [1], ['a\nb']));
    expect(text && describeOutputDifference(text)).toBe(
      "element 0 of output 'y' is 'a\ufffdb', expected 'ü'",
    );
    const shape = compare(fp32(1), fp32(1, 2));
    expect(shape && describeOutputDifference(shape)).toBe(
      "output 'y' is FP32[2], expected FP32[1]",
    );
  });
});
