import { expect, test } from 'vitest';
import { ProtobufWriter } from '../support/protobuf-writer.ts';
import { readTensorProto, tensorOf } from './tensor-proto.ts';

/** A `TensorProto` of two elements, its data in one field. */
const written = (elementType: number, field: number, data: Uint8Array): Uint8Array =>
  new ProtobufWriter()
    .varint(1, 2)
    .varint(2, elementType)
    .bytes(field, data)
    .bytes(8, 'x')
    .finish();

test.each([
  [
    'floats as they are',
    written(1, 4, new Uint8Array(new Float32Array([1.5, -2]).buffer)),
    [1.5, -2],
  ],
  ['raw data', written(6, 9, new Uint8Array(new Int32Array([7, -7]).buffer)), [7, -7]],
  // 0x3c00 and 0xc000 as varints.
  [
    'halves among 32-bit integers',
    written(10, 5, Uint8Array.of(0x80, 0x78, 0x80, 0x80, 0x03)),
    [1, -2],
  ],
  ['booleans among 32-bit integers', written(9, 5, Uint8Array.of(1, 0)), [true, false]],
  [
    'negative 64-bit integers',
    written(7, 7, Uint8Array.of(...Array.from({ length: 9 }, () => 0xff), 0x01, 0x05)),
    [-1n, 5n],
  ],
])('readTensorProto reads %s', async (_, file, values) => {
  const tensor = await readTensorProto(file, 'input_0.pb');
  expect(tensor).toMatchObject({ name: 'x', shape: [2] });
  expect(tensorOf(tensor)?.toArray()).toEqual(values);
});

test('readTensorProto reads text', async () => {
  const text = new ProtobufWriter()
    .varint(1, 2)
    .varint(2, 8)
    .bytes(6, 'naïve')
    .bytes(6, '')
    .finish();
  expect(tensorOf(await readTensorProto(text, 'input_0.pb'))?.strings()).toEqual(['naïve', '']);
});

test('tensorOf has no tensor of elements that requests cannot carry', async () => {
  expect(tensorOf(await readTensorProto(written(22, 9, Uint8Array.of(0x21)), 'x'))).toBeUndefined();
});
