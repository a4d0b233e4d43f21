import type { Datatype } from './datatype.ts';
import { InvalidInputError } from './errors.ts';

/** The typed array of each datatype's elements; FP16 is its raw bits. `BYTES` has none. */
export const ELEMENT_VIEWS = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
} as const;

/** The runtime's own `Float16Array`, which Node has from 24 on. */
export function nativeFloat16(): Float16ArrayConstructor | undefined {
  return (globalThis as { readonly Float16Array?: Float16ArrayConstructor }).Float16Array;
}

/** Elements in a typed array given for a datatype: raw bits and raw bytes are counted by element, not by array item. */
export function viewLength(datatype: Datatype, view: ArrayBufferView): number {
  if (datatype === 'BYTES') {
    throw new InvalidInputError(
      'a BYTES tensor is made from an array of strings, got a typed array',
    );
  }
  const { BYTES_PER_ELEMENT: size } = ELEMENT_VIEWS[datatype];
  if (view instanceof Uint8Array && size > 1) return view.byteLength / size;
  return 'length' in view && typeof view.length === 'number' ? view.length : view.byteLength;
}
