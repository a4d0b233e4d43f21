/**
 * The tensor datatypes, in the words of the Open Inference Protocol.
 *
 * @see https://github.com/kserve/open-inference-protocol, "Tensor Data Types"; BF16 is left out because ONNX Runtime for
 * Node refuses it as a model's input or output.
 */
export const DATATYPES = [
  'BOOL',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'FP16',
  'FP32',
  'FP64',
  'BYTES',
] as const;

/** One of {@link DATATYPES}. `BYTES` holds variable-length elements, UTF-8 strings for ONNX string tensors. */
export type Datatype = (typeof DATATYPES)[number];

const ELEMENT_BYTES: Readonly<Record<Datatype, number | null>> = {
  BOOL: 1,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  FP16: 2,
  FP32: 4,
  FP64: 8,
  BYTES: null,
};

/** Bytes of one element, or null for `BYTES`, whose elements carry their own length. */
export function elementBytes(datatype: Datatype): number | null {
  return ELEMENT_BYTES[datatype];
}

export function isDatatype(value: unknown): value is Datatype {
  return typeof value === 'string' && Object.hasOwn(ELEMENT_BYTES, value);
}

/** The wire number of a datatype: its index in {@link DATATYPES}, which therefore only ever grows at its end. */
export function datatypeCode(datatype: Datatype): number {
  return DATATYPES.indexOf(datatype);
}

/** The datatype of a wire number, undefined when the number is unknown. */
export function datatypeFromCode(code: number): Datatype | undefined {
  return DATATYPES[code];
}
