import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeTensorFrame,
  encodeTensorFrame,
  type TensorFrame,
} from '../../../../node/backend/tensor-frame.ts';
import { DATATYPES, elementBytes } from '../../../../protocols/datatype.ts';
import { MAX_TENSORS } from '../../../../protocols/limits.ts';
import { Tensor } from '../../../../protocols/tensor.ts';

function whole(frame: TensorFrame): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.concat(encodeTensorFrame(frame));
  return new Uint8Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

/** A tensor of any datatype, its bytes arbitrary. */
const tensors = fc
  .record({
    datatype: fc.constantFrom(...DATATYPES),
    shape: fc.array(fc.nat(4), { maxLength: 4 }),
    texts: fc.array(fc.string({ unit: 'grapheme' })),
    seed: fc.nat(255),
  })
  .map(({ datatype, shape, texts, seed }) => {
    const size = elementBytes(datatype);
    if (size === null) return Tensor.from('BYTES', [texts.length], texts);
    const count = shape.reduce((product, dimension) => product * dimension, 1);
    const bytes = Uint8Array.from(
      { length: count * size },
      (_, index) => (index * 31 + seed) % 256,
    );
    return new Tensor(datatype, shape, bytes);
  });

const frames: fc.Arbitrary<TensorFrame> = fc.record({
  numbers: fc.array(fc.double({ noNaN: true }), { maxLength: 5 }),
  tensors: fc.array(fc.record({ index: fc.nat(2 ** 32 - 1), tensor: tensors }), { maxLength: 5 }),
});

describe('encodeTensorFrame', () => {
  test('is read back as it was, every tensor aligned to 8 bytes', () => {
    fc.assert(
      fc.property(frames, (frame) => {
        const found = decodeTensorFrame(whole(frame));
        expect(found.numbers).toEqual(frame.numbers);
        expect(found.tensors.map(({ index }) => index)).toEqual(
          frame.tensors.map(({ index }) => index),
        );
        found.tensors.forEach(({ tensor }, position) => {
          const sent = frame.tensors[position]?.tensor;
          expect([tensor.datatype, tensor.shape]).toEqual([sent?.datatype, sent?.shape]);
          expect([...tensor.bytes]).toEqual([...(sent?.bytes ?? [])]);
          expect(tensor.bytes.byteOffset % 8).toBe(0);
        });
      }),
    );
  });

  test('refers to the tensors’ bytes and copies none', () => {
    const tensor = Tensor.from('FP64', [2], [1, 2]);
    expect(encodeTensorFrame({ numbers: [], tensors: [{ index: 0, tensor }] })).toContain(
      tensor.bytes,
    );
  });
});

describe('decodeTensorFrame', () => {
  const sample = whole({
    numbers: [1.5],
    tensors: [{ index: 2, tensor: Tensor.from('INT16', [3], [1, 2, 3]) }],
  });

  test('reads a frame without its last padding', () => {
    const { tensors } = decodeTensorFrame(sample.slice(0, -2));
    expect(tensors[0]?.tensor.toArray()).toEqual([1, 2, 3]);
  });

  test('refuses a frame that ends early, wherever it ends', () => {
    for (let length = 0; length < sample.byteLength - 2; length += 1) {
      expect(() => decodeTensorFrame(sample.slice(0, length)), `of ${length} bytes`).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_MESSAGE' }),
      );
    }
  });

  test('takes as many tensors as the limit and refuses one more before it reads them', () => {
    const scalar = { index: 0, tensor: Tensor.from('BOOL', [], [true]) };
    const of = (count: number) =>
      whole({ numbers: [], tensors: Array.from({ length: count }, () => scalar) });
    expect(decodeTensorFrame(of(MAX_TENSORS)).tensors).toHaveLength(MAX_TENSORS);
    expect(() => decodeTensorFrame(of(MAX_TENSORS + 1))).toThrow(`${MAX_TENSORS + 1} tensors`);
  });

  test('refuses a shape its bytes do not fill, an unknown datatype, and any other garbage', () => {
    const lie = sample.slice();
    new DataView(lie.buffer).setFloat64(32, 4, true);
    expect(() => decodeTensorFrame(lie)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_INPUT' }),
    );
    const unknown = sample.slice();
    new DataView(unknown.buffer).setUint16(20, 999, true);
    expect(() => decodeTensorFrame(unknown)).toThrow('datatype 999');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(['read', 'ERR_INVALID_MESSAGE', 'ERR_INVALID_INPUT']).toContain(verdict(bytes));
      }),
    );
  });
});

/** What reading bytes comes to: an error's code, or `read`. */
function verdict(bytes: Uint8Array): unknown {
  try {
    decodeTensorFrame(new Uint8Array(bytes));
    return 'read';
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
}
