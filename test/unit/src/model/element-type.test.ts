import { describe, expect, it } from 'vitest';
import { DATATYPES } from '../../../../protocols/datatype.ts';
import {
  elementDatatype,
  elementTypeName,
  tensorBytes,
} from '../../../../src/model/element-type.ts';
import { ELEMENT_TYPES } from '../../../support/onnx-builder.ts';

describe('elementDatatype', () => {
  it('knows the ONNX number of every datatype', () => {
    expect(DATATYPES.map((datatype) => elementDatatype(ELEMENT_TYPES[datatype]))).toEqual(
      DATATYPES,
    );
  });

  it('has no word for what requests cannot carry', () => {
    const others = [0, 14, 15, 16, 17, 21, 22, 23, 27, 1e9];
    expect(others.filter((number) => elementDatatype(number) !== undefined)).toEqual([]);
  });
});

describe('elementTypeName', () => {
  it('names what it knows in ONNX’s words and the rest by its number', () => {
    expect([1, 16, 22].map(elementTypeName)).toEqual(['float', 'bfloat16', 'int4']);
    expect(elementTypeName(99)).toBe('element type 99');
  });
});

describe('tensorBytes', () => {
  it('counts whole elements, packed half bytes and scalars', () => {
    expect(tensorBytes(ELEMENT_TYPES.FP64, [2, 3])).toBe(48);
    expect(tensorBytes(ELEMENT_TYPES.FP32, [])).toBe(4);
    expect(tensorBytes(ELEMENT_TYPES.FP32, [5, 0])).toBe(0);
    expect(tensorBytes(22, [3])).toBe(2);
  });

  it('does not know the bytes of strings and of unknown types', () => {
    expect(tensorBytes(ELEMENT_TYPES.BYTES, [2])).toBeNull();
    expect(tensorBytes(99, [2])).toBeNull();
  });
});
