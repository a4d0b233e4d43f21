import { Tensor } from '../../protocols/tensor.ts';
import { memorySource } from '../../src/model/byte-source.ts';
import { elementDatatype } from '../../src/model/element-type.ts';
import { walkMessage } from '../../src/model/protobuf-reader.ts';
import { integer, messageSchema, span, text } from '../../src/model/protobuf-schema.ts';

/** A tensor as the ONNX project writes it to a file, with bytes as they lie in memory. */
export interface StoredTensor {
  readonly name: string;
  /** Of `TensorProto.DataType`. */
  readonly elementType: number;
  readonly shape: readonly number[];
  /** Row-major elements, little-endian; for text, what a BYTES tensor has. */
  readonly bytes: Uint8Array;
}

/** Where a field's bytes lie in the file. */
type Span = readonly [offset: number, length: number];

interface Draft {
  name: string;
  elementType: number;
  readonly shape: number[];
  readonly strings: Span[];
  /** `raw_data`, `float_data` and `double_data`: little-endian as they are. */
  readonly raw: Span[];
  /** `int32_data`, `int64_data` and `uint64_data`: a varint for each element. */
  readonly varints: Span[];
}

const raw = span<Draft>((tensor, ...at) => tensor.raw.push(at));
const varints = span<Draft>((tensor, ...at) => tensor.varints.push(at));

/** `TensorProto`, data included: what the project's own reader leaves where it is. */
const TENSOR = messageSchema<Draft>({
  1: integer((tensor, size) => tensor.shape.push(size)),
  2: integer((tensor, type) => (tensor.elementType = type)),
  4: raw,
  5: varints,
  6: span((tensor, ...at) => tensor.strings.push(at)),
  7: varints,
  8: text(4096, (tensor, name) => (tensor.name = name)),
  9: raw,
  10: raw,
  11: varints,
});

/** Bytes of one element, where elements are whole bytes. */
const BYTES_OF: Readonly<Record<number, number>> = {
  ...{ 1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8 },
  ...{ 14: 8, 15: 16, 16: 2, 17: 1, 18: 1, 19: 1, 20: 1, 24: 1 },
};

const STRING = 8;

/** @throws {ERR_INVALID_MODEL} when the bytes are not protobuf. */
export async function readTensorProto(file: Uint8Array, fileName: string): Promise<StoredTensor> {
  const draft: Draft = { name: '', elementType: 0, shape: [], strings: [], raw: [], varints: [] };
  await walkMessage(memorySource(file), TENSOR, draft, { fileName });
  const { name, elementType, shape } = draft;
  const at = ([offset, length]: Span) => file.subarray(offset, offset + length);
  const bytes =
    elementType === STRING
      ? Tensor.from('BYTES', [draft.strings.length], draft.strings.map(at).map(utf8)).bytes
      : new Uint8Array(
          Buffer.concat([
            ...draft.raw.map(at),
            ...draft.varints.map(at).map((packed) => elements(packed, BYTES_OF[elementType] ?? 1)),
          ]),
        );
  return { name, elementType, shape, bytes };
}

/** Our tensor, undefined when its elements are of a kind that requests cannot carry. */
export function tensorOf({ elementType, shape, bytes }: StoredTensor): Tensor | undefined {
  const datatype = elementDatatype(elementType);
  return datatype === undefined ? undefined : new Tensor(datatype, shape, bytes);
}

function utf8(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
}

/** Varints as little-endian integers of `size` bytes. */
function elements(packed: Uint8Array, size: number): Uint8Array {
  const values: bigint[] = [];
  let [value, shift] = [0n, 0n];
  for (const byte of packed) {
    value |= BigInt(byte & 0x7f) << shift;
    shift += 7n;
    if (byte >= 0x80) continue;
    values.push(value);
    [value, shift] = [0n, 0n];
  }
  const bytes = new Uint8Array(values.length * size);
  values.forEach((number, index) => {
    for (let byte = 0; byte < size; byte += 1) {
      bytes[index * size + byte] = Number((number >> BigInt(8 * byte)) & 0xffn);
    }
  });
  return bytes;
}
