import { describe, expect, it } from 'vitest';
import {
  DATATYPES,
  datatypeCode,
  datatypeFromCode,
  elementBytes,
  isDatatype,
} from '../../../protocols/datatype.ts';

describe('datatypeCode', () => {
  it('numbers the datatypes as every earlier version did', () => {
    expect(DATATYPES.map((datatype) => [datatypeCode(datatype), datatype])).toEqual([
      [0, 'BOOL'],
      [1, 'UINT8'],
      [2, 'UINT16'],
      [3, 'UINT32'],
      [4, 'UINT64'],
      [5, 'INT8'],
      [6, 'INT16'],
      [7, 'INT32'],
      [8, 'INT64'],
      [9, 'FP16'],
      [10, 'FP32'],
      [11, 'FP64'],
      [12, 'BYTES'],
    ]);
  });
});

describe('datatypeFromCode', () => {
  it('is the other way round, and undefined beyond the last', () => {
    for (const datatype of DATATYPES) {
      expect(datatypeFromCode(datatypeCode(datatype))).toBe(datatype);
    }
    expect([-1, 0.5, 13, 255].map(datatypeFromCode)).toEqual(
      Array.from({ length: 4 }, () => undefined),
    );
  });
});

describe('elementBytes', () => {
  it('knows the width of every datatype but that of texts', () => {
    expect(DATATYPES.map(elementBytes)).toEqual([1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 4, 8, null]);
  });
});

describe('isDatatype', () => {
  it.each(['BF16', 'fp32', '', 'toString', '__proto__', 10, null, undefined, ['FP32']])(
    'is false for %j',
    (value) => {
      expect(isDatatype(value)).toBe(false);
    },
  );

  it('is true for each of them', () => {
    expect(DATATYPES.every(isDatatype)).toBe(true);
  });
});
