import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DATATYPES, type Datatype, elementBytes } from '../../../protocols/datatype.ts';
import { MAX_DIMENSION, MAX_RANK } from '../../../protocols/limits.ts';
import { formatShape, Tensor } from '../../../protocols/tensor.ts';

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

  it('keeps a byte order mark, which is a character of the element', () => {
    expect(Tensor.from('BYTES', [1], ['\ufeffa']).strings()).toEqual(['\ufeffa']);
  });

  it('gives the elements of BYTES as bytes, and refuses to read what is not UTF-8 as text', () => {
    const tensor = new Tensor(
      'BYTES',
      [2],
      Uint8Array.of(1, 0, 0, 0, 0x61, 2, 0, 0, 0, 0xc3, 0x28),
    );
    expect(tensor.elements()).toEqual([Uint8Array.of(0x61), Uint8Array.of(0xc3, 0x28)]);
    expect(() => tensor.strings()).toThrow('element 1 of a BYTES tensor is not valid UTF-8');
  });

  it('refuses to be read as what it is not', () => {
    const text = Tensor.from('BYTES', [1], ['a']);
    const number = Tensor.from('FP32', [1], [1]);
    expect(() => text.data).toThrow('a BYTES tensor has no typed array');
    expect(() => number.strings()).toThrow('elements() reads BYTES tensors, this one is FP32');
    expect(() => Tensor.from('BYTES', [1], Uint8Array.of(1))).toThrow(/from an array of strings/);
    expect(() => Tensor.from('BYTES', [1], [1])).toThrow('element 0 is 1 (number)');
  });

  it('carries BOOL as one byte an element', () => {
    const tensor = Tensor.from('BOOL', [4], [true, false, true, true]);
    expect([...tensor.data]).toEqual([1, 0, 1, 1]);
    expect(tensor.toArray()).toEqual([true, false, true, true]);
    expect(Tensor.from('BOOL', [2], [1, 0]).toArray()).toEqual([true, false]);
    expect(() => Tensor.from('BOOL', [1], [2])).toThrow('element 0 is 2 (number)');
  });

  it('converts a typed array of another type, and refuses what does not fit', () => {
    expect(Tensor.from('INT64', [2], Int32Array.of(-1, 7)).toArray()).toEqual([-1n, 7n]);
    expect(Tensor.from('FP32', [1], Float64Array.of(0.1)).toArray()).toEqual([Math.fround(0.1)]);
    expect(() => Tensor.from('UINT8', [1], Int16Array.of(256))).toThrow('element 0 is 256');
    expect(() => Tensor.from('FP32', [1], BigInt64Array.of(1n))).toThrow(
      'element 0 is 1n (bigint)',
    );
  });

  it('takes raw little-endian bytes for any datatype of fixed size', () => {
    expect(Tensor.from('INT32', [1], Uint8Array.of(1, 2, 0, 0)).toArray()).toEqual([513]);
    expect(() => Tensor.from('INT32', [2], Uint8Array.of(1, 2, 0, 0))).toThrow(
      'INT32 tensor of shape [2] needs 2 elements, got 1',
    );
  });

  it('takes as many dimensions as the limit, and not one more', () => {
    const shape = (rank: number) => Array.from({ length: rank }, () => 1);
    expect(Tensor.from('UINT8', shape(MAX_RANK), [7]).size).toBe(1);
    expect(() => Tensor.from('UINT8', shape(MAX_RANK + 1), [7])).toThrow(
      'shape has 33 dimensions, expected at most 32',
    );
  });

  it('takes a dimension as large as the limit beside one of 0, and none that is larger', () => {
    expect(Tensor.from('UINT8', [MAX_DIMENSION, 0], []).size).toBe(0);
    expect(() => Tensor.from('UINT8', [0, MAX_DIMENSION + 1], [])).toThrow(
      'shape [0, 4294967296] has dimension 4294967296, expected at most 4294967295',
    );
  });

  it('keeps the shape it was made with when the caller changes theirs', () => {
    const shape = [2];
    const tensor = Tensor.from('UINT8', shape, [1, 2]);
    shape[0] = 3;
    expect(tensor.shape).toEqual([2]);
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

  it('names a datatype that is none', () => {
    const datatype = 'FLOAT' as never;
    expect(() => Tensor.from(datatype, [1], [1])).toThrow(
      'datatype of a tensor is "FLOAT", expected one of BOOL, UINT8',
    );
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

describe('formatShape', () => {
  it('shows sizes, names and unnamed free dimensions', () => {
    expect(formatShape(['batch', 3, null])).toBe('[batch, 3, ?]');
    expect(formatShape([])).toBe('[]');
  });
});
