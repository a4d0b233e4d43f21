import { describe, expect, it } from 'vitest';
import type { Datatype } from '../../../../protocols/datatype.ts';
import type { DeclaredDimension, TensorSpec } from '../../../../protocols/types.ts';
import { type PlainInput, plainTensor } from '../../../../src/client/plain-input.ts';

const spec = (datatype: Datatype, ...shape: DeclaredDimension[]): TensorSpec => ({
  name: 'x',
  datatype,
  shape,
});

describe('plainTensor', () => {
  it.each<[string, TensorSpec, PlainInput, readonly number[], readonly unknown[]]>([
    [
      'nested arrays',
      spec('FP32', 'batch', 2),
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
      [3, 2],
      [1, 2, 3, 4, 5, 6],
    ],
    ['a flat array', spec('FP32', null, 2), [1, 2, 3, 4], [2, 2], [1, 2, 3, 4]],
    ['a flat array of a fixed shape', spec('INT32', 2, 2), [1, 2, 3, 4], [2, 2], [1, 2, 3, 4]],
    ['a scalar', spec('FP64'), 0.1, [], [0.1]],
    ['a typed array', spec('FP32', 'batch', 1), Float32Array.of(1, 2), [2, 1], [1, 2]],
    ['bytes for floats', spec('FP32', 1, 'n'), Uint8Array.of(0, 255, 7, 9), [1, 4], [0, 255, 7, 9]],
    ['bytes for bytes', spec('UINT8', 'n'), Uint8ClampedArray.of(0, 255), [2], [0, 255]],
    ['FP16 bits', spec('FP16', 'n'), Uint16Array.of(0x3c00, 0xc000), [2], [1, -2]],
    ['numbers for FP16', spec('FP16', 'n'), [1, -2, 0.5], [3], [1, -2, 0.5]],
    ['narrow integers for INT64', spec('INT64', 'n'), Int32Array.of(-1, 2), [2], [-1n, 2n]],
    ['safe numbers for UINT64', spec('UINT64', 'n'), [2 ** 53 - 1], [1], [2n ** 53n - 1n]],
    ['exact 64-bit integers', spec('INT64', 'n'), [-(2n ** 63n)], [1], [-(2n ** 63n)]],
    ['booleans', spec('BOOL', 'n', 1), [[true], [false]], [2, 1], [true, false]],
    ['strings', spec('BYTES', 'batch'), ['Grüße', ''], [2], ['Grüße', '']],
    ['an empty batch', spec('FP32', 'batch', 2), [], [0, 2], []],
  ])('makes a tensor of %s', (_, declared, value, shape, elements) => {
    const tensor = plainTensor(declared, value);
    expect([tensor.datatype, tensor.shape]).toEqual([declared.datatype, shape]);
    expect(tensor.toArray()).toEqual(elements);
  });

  it('wraps a typed array of the declared datatype without a copy', () => {
    const values = Float32Array.of(1, 2);
    expect(plainTensor(spec('FP32', 'n'), values).bytes.buffer).toBe(values.buffer);
  });

  it.each<[string, TensorSpec, unknown, string]>([
    [
      'a wrong rank',
      spec('FP32', 'batch', 1, 2),
      [[1, 2]],
      "input 'x': expected shape [batch, 1, 2], found arrays of shape [1, 2]",
    ],
    [
      'a wrong fixed dimension',
      spec('FP32', 'batch', 2),
      [[1, 2, 3]],
      'expected shape [batch, 2], found arrays of shape [1, 3]',
    ],
    [
      'ragged arrays',
      spec('FP32', 'batch', 2),
      [[1, 2], [3]],
      'nested arrays[1]: expected an array of 2 for dimension 1 of shape [2, 2], found 1',
    ],
    [
      'too few in a row',
      spec('FP32', 2, 2),
      [1, 2, 3],
      'expected elements for the declared shape [2, 2], 4, found 3',
    ],
    ['no whole number of rows', spec('FP32', 'batch', 2), [1, 2, 3], 'a multiple of 2, found 3'],
    [
      'a row for two free dimensions',
      spec('INT64', 'batch', 'length'),
      [1, 2],
      'has 2 free dimensions, expected nested arrays that show them, found 2 elements in a row',
    ],
    [
      'a value of another kind',
      spec('FP32', 'n'),
      ['1'],
      "input 'x': element 0 is 1 (string), which is not a FP32 value",
    ],
    [
      'a number that lost digits',
      spec('INT64', 'n'),
      [2 ** 53],
      'element 0 is 9007199254740992 (number), which is not a INT64 value',
    ],
    [
      'a string for an array',
      spec('BYTES', 'batch'),
      'hello',
      'expected shape [batch], found "hello"',
    ],
    ['nothing', spec('FP32', 'n'), undefined, 'expected shape [n], found nothing'],
    [
      'null for a scalar',
      spec('FP32'),
      null,
      'element 0 is null (object), which is not a FP32 value',
    ],
    ['an object', spec('FP32', 'n'), { 0: 1 }, 'expected shape [n], found an object'],
    ['a lone surrogate', spec('BYTES', 'n'), ['\ud800'], 'which is not a BYTES value'],
    [
      'a typed array for strings',
      spec('BYTES', 'n'),
      Uint8Array.of(1),
      'made from an array of strings',
    ],
    ['a DataView', spec('UINT8', 'n'), new DataView(new ArrayBuffer(1)), 'found a DataView'],
  ])('refuses %s by the name of the input', (_, declared, value, message) => {
    expect(() => plainTensor(declared, value as PlainInput)).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_INPUT',
        message: expect.stringContaining(message),
      }),
    );
  });
});
