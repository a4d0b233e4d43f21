import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DATATYPES, type Datatype, elementBytes } from '../../../protocols/datatype.ts';
import { Tensor } from '../../../protocols/tensor.ts';

describe('Tensor', () => {
  it('keeps 64-bit integers exact both ways', () => {
    const values = [-(2n ** 63n), -1n, 0n, 2n ** 53n + 1n, 2n ** 63n - 1n];
    expect(Tensor.from('INT64', [5], values).toArray()).toEqual(values);
    expect(Tensor.from('UINT64', [1], [2n ** 64n - 1n]).toArray()).toEqual([2n ** 64n - 1n]);
  });

  it('refuses a number that has already lost digits as a 64-bit integer', () => {
    expect(() => Tensor.from('INT64', [1], [2 ** 53 + 2])).toThrow(/element 0 is 9007199254740994/);
  });

  it.each<[Datatype, number | bigint]>([
    ['UINT8', 256],
    ['INT8', -129],
    ['UINT16', -1],
    ['INT32', 2 ** 31],
    ['UINT64', -1n],
    ['INT16', 1.5],
  ])('refuses %s value %s, which does not fit', (datatype, value) => {
    expect(() => Tensor.from(datatype, [1], [value] as number[])).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_INPUT' }),
    );
  });

  it('carries FP16 as numbers and as raw bits', () => {
    const tensor = Tensor.from('FP16', [4], [1, -2, 0.5, Number.POSITIVE_INFINITY]);
    expect([...tensor.data]).toEqual([0x3c00, 0xc000, 0x3800, 0x7c00]);
    expect(tensor.toArray()).toEqual([1, -2, 0.5, Number.POSITIVE_INFINITY]);
    expect(Tensor.from('FP16', [1], Uint16Array.of(0x3c00)).toArray()).toEqual([1]);
  });

  it('carries NaN', () => {
    expect(Tensor.from('FP32', [2], [Number.NaN, 1]).toArray()).toEqual([Number.NaN, 1]);
  });

  it('carries strings of any length, empty ones too', () => {
    const values = ['', 'a', 'Grüße 🌍'];
    const tensor = Tensor.from('BYTES', [3], values);
    expect(tensor.strings()).toEqual(values);
    expect(new Tensor('BYTES', [3], tensor.bytes).toArray()).toEqual(values);
  });

  it('refuses BYTES data that ends inside an element, or holds more or fewer than the shape says', () => {
    const { bytes } = Tensor.from('BYTES', [2], ['ab', 'c']);
    expect(() => new Tensor('BYTES', [2], bytes.subarray(0, bytes.length - 1))).toThrow(
      /ends inside/,
    );
    expect(() => new Tensor('BYTES', [3], bytes)).toThrow('BYTES tensor needs 3 elements, got 2');
  });

  it('takes empty tensors and scalars', () => {
    expect(Tensor.from('FP32', [2, 0, 4], []).bytes.byteLength).toBe(0);
    expect(Tensor.from('INT32', [], [7]).toArray()).toEqual([7]);
  });

  it('says how many elements were expected and found', () => {
    expect(() => Tensor.from('FP32', [2, 3], [1, 2])).toThrow(
      'FP32 tensor of shape [2, 3] needs 6 elements, got 2',
    );
    expect(() => new Tensor('FP32', [2], new Uint8Array(7))).toThrow(
      'FP32 tensor of shape [2] needs 8 bytes, got 7',
    );
  });

  it.each([
    [[-1]],
    [[1.5]],
    [[Number.NaN]],
    [[2 ** 40, 2 ** 40]],
    [Array.from({ length: 33 }, () => 1)],
  ])('refuses shape %j', (shape) => {
    expect(() => Tensor.from('UINT8', shape, [])).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_INPUT' }),
    );
  });

  it('wraps a typed array of its datatype without a copy', () => {
    const data = Float32Array.of(1, 2, 3);
    expect(Tensor.from('FP32', [3], data).bytes.buffer).toBe(data.buffer);
  });

  it('reads misaligned bytes by copying', () => {
    const shifted = new Uint8Array(9);
    shifted.set(new Uint8Array(Float32Array.of(1.5, -2).buffer), 1);
    expect([...new Tensor('FP32', [2], shifted.subarray(1)).data]).toEqual([1.5, -2]);
  });

  it('gives back the bytes it was made from, for every datatype of fixed size', () => {
    const fixed = DATATYPES.filter((datatype) => datatype !== 'BYTES' && datatype !== 'BOOL');
    fc.assert(
      fc.property(
        fc.constantFrom(...fixed),
        fc.uint8Array({ maxLength: 64 }),
        (datatype, bytes) => {
          const size = elementBytes(datatype) ?? 1;
          const whole = bytes.subarray(0, bytes.length - (bytes.length % size));
          const tensor = new Tensor(datatype, [whole.length / size], whole);
          const { data } = tensor;
          expect(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)).toEqual(whole);
        },
      ),
    );
  });
});
