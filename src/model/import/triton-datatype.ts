import type { Datatype } from '../../../protocols/datatype.ts';

/**
 * Triton's words for element types, by their numbers in its schema.
 *
 * @see https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto, `DataType`
 */
export const TRITON_DATATYPES = {
  TYPE_INVALID: 0,
  TYPE_BOOL: 1,
  TYPE_UINT8: 2,
  TYPE_UINT16: 3,
  TYPE_UINT32: 4,
  TYPE_UINT64: 5,
  TYPE_INT8: 6,
  TYPE_INT16: 7,
  TYPE_INT32: 8,
  TYPE_INT64: 9,
  TYPE_FP16: 10,
  TYPE_FP32: 11,
  TYPE_FP64: 12,
  TYPE_STRING: 13,
  TYPE_BF16: 14,
} as const;

export type TritonDatatype = keyof typeof TRITON_DATATYPES;

export function tritonDatatype(datatype: Datatype): TritonDatatype {
  return datatype === 'BYTES' ? 'TYPE_STRING' : `TYPE_${datatype}`;
}
