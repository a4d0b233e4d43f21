import { describe, expect, test } from 'vitest';
import {
  datatypeOfOrt,
  fromOrtTensor,
  toOrtTensor,
} from '../../../../../node/backend/child/ort-tensor.ts';
import { Tensor } from '../../../../../protocols/tensor.ts';

describe('toOrtTensor', () => {
  test('shares memory with a number tensor', () => {
    const tensor = Tensor.from('INT64', [2], [1n, -1n]);
    const { type, dims, data } = toOrtTensor('x', tensor);
    expect([type, dims]).toEqual(['int64', [2]]);
    expect((data as BigInt64Array).buffer).toBe(tensor.bytes.buffer);
  });

  test('hands FP16 over as raw bits and BYTES as text', () => {
    const bits = toOrtTensor('x', Tensor.from('FP16', [1], Uint16Array.of(0x3c00)));
    expect(bits).toMatchObject({ type: 'float16', data: Uint16Array.of(0x3c00) });
    const text = toOrtTensor('x', Tensor.from('BYTES', [2], ['a', '']));
    expect(text).toMatchObject({ type: 'string', data: ['a', ''] });
  });

  test.each<[what: string, tensor: Tensor, message: string]>([
    [
      'a BOOL that is neither 0 nor 1',
      new Tensor('BOOL', [3], Uint8Array.of(0, 1, 2)),
      "input 'x': element 2 is 2, expected 0 or 1 in a BOOL tensor",
    ],
    [
      'text that is not UTF-8',
      new Tensor('BYTES', [1], Uint8Array.of(1, 0, 0, 0, 0xff)),
      "input 'x': element 0 of a BYTES tensor is not valid UTF-8",
    ],
    [
      'text with a NUL',
      Tensor.from('BYTES', [1], ['a\0']),
      "input 'x': element 0 has a NUL character, which ONNX Runtime cannot take",
    ],
  ])('refuses %s', (_, tensor, message) => {
    expect(() => toOrtTensor('x', tensor)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_INPUT', message }),
    );
  });
});

describe('fromOrtTensor', () => {
  test('shares memory with the runtime’s array, views into larger buffers too', () => {
    const data = new Float32Array(new ArrayBuffer(16), 8, 2);
    data.set([1, 2]);
    const tensor = fromOrtTensor({ type: 'float32', dims: [2], data });
    expect(tensor.toArray()).toEqual([1, 2]);
    expect(tensor.bytes.buffer).toBe(data.buffer);
  });

  test('takes text', () => {
    const tensor = fromOrtTensor({ type: 'string', dims: [2], data: ['ż', ''] });
    expect(tensor).toEqual(Tensor.from('BYTES', [2], ['ż', '']));
  });

  test('refuses a type that cannot travel', () => {
    expect(datatypeOfOrt('int4')).toBeUndefined();
    expect(() => fromOrtTensor({ type: 'int4', dims: [], data: Uint8Array.of(1) })).toThrow('int4');
  });
});
