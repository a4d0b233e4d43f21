import type { Datatype } from '../../protocols/datatype.ts';

interface ElementType {
  /** The name ONNX gives it, in lower case. */
  readonly name: string;
  /** Bits of one element, null for strings. */
  readonly bits: number | null;
  /** Our word, undefined for what ONNX Runtime for Node cannot carry in or out. */
  readonly datatype?: Datatype;
}

/**
 * `TensorProto.DataType` by number.
 *
 * @see https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 */
const ELEMENT_TYPES: readonly (ElementType | undefined)[] = [
  undefined,
  { name: 'float', bits: 32, datatype: 'FP32' },
  { name: 'uint8', bits: 8, datatype: 'UINT8' },
  { name: 'int8', bits: 8, datatype: 'INT8' },
  { name: 'uint16', bits: 16, datatype: 'UINT16' },
  { name: 'int16', bits: 16, datatype: 'INT16' },
  { name: 'int32', bits: 32, datatype: 'INT32' },
  { name: 'int64', bits: 64, datatype: 'INT64' },
  { name: 'string', bits: null, datatype: 'BYTES' },
  { name: 'bool', bits: 8, datatype: 'BOOL' },
  { name: 'float16', bits: 16, datatype: 'FP16' },
  { name: 'double', bits: 64, datatype: 'FP64' },
  { name: 'uint32', bits: 32, datatype: 'UINT32' },
  { name: 'uint64', bits: 64, datatype: 'UINT64' },
  { name: 'complex64', bits: 64 },
  { name: 'complex128', bits: 128 },
  { name: 'bfloat16', bits: 16 },
  { name: 'float8e4m3fn', bits: 8 },
  { name: 'float8e4m3fnuz', bits: 8 },
  { name: 'float8e5m2', bits: 8 },
  { name: 'float8e5m2fnuz', bits: 8 },
  { name: 'uint4', bits: 4 },
  { name: 'int4', bits: 4 },
  { name: 'float4e2m1', bits: 4 },
  { name: 'float8e8m0', bits: 8 },
  { name: 'uint2', bits: 2 },
  { name: 'int2', bits: 2 },
];

/** ONNX's name of an element type; a number that is not known yet is named by itself. */
export function elementTypeName(elementType: number): string {
  return ELEMENT_TYPES[elementType]?.name ?? `element type ${elementType}`;
}

/** Our datatype of an ONNX element type; undefined when requests and answers cannot carry it. */
export function elementDatatype(elementType: number): Datatype | undefined {
  return ELEMENT_TYPES[elementType]?.datatype;
}

/** Bytes that a tensor takes when unpacked, sub-byte elements packed; null for strings and unknown element types. */
export function tensorBytes(elementType: number, shape: readonly number[]): number | null {
  const bits = ELEMENT_TYPES[elementType]?.bits ?? null;
  return bits === null ? null : Math.ceil((shape.reduce((a, b) => a * b, 1) * bits) / 8);
}
