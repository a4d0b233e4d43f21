import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DATATYPES, elementBytes } from '../../../protocols/datatype.ts';
import { parseExactJson } from '../../../protocols/exact-json.ts';
import { formatElements, parseElements } from '../../../protocols/json-elements.ts';
import { Tensor } from '../../../protocols/tensor.ts';
import { refusal } from '../../support/refusal.ts';

const NUMERIC = DATATYPES.filter((datatype) => datatype !== 'BYTES' && datatype !== 'BOOL');

describe('formatElements', () => {
  it.each(NUMERIC)('writes any %s so that parseElements reads the same bits', (datatype) => {
    const size = elementBytes(datatype) ?? 1;
    fc.assert(
      fc.property(fc.uint8Array({ minLength: size * 4, maxLength: size * 4 }), (bytes) => {
        const tensor = new Tensor(datatype, [4], bytes);
        const json = `[${formatElements('x', tensor).join(',')}]`;
        const again = parseElements(datatype, [4], parseExactJson(json), 'data');
        // NaNs are one in JSON.
        expect(again.toArray()).toEqual(tensor.toArray());
      }),
    );
  });

  it('writes text and booleans as JSON has them', () => {
    expect(formatElements('x', Tensor.from('BYTES', [2], ['a"b', 'ü']))).toEqual([
      '"a\\"b"',
      '"ü"',
    ]);
    expect(formatElements('x', Tensor.from('BOOL', [2], [true, false]))).toEqual(['true', 'false']);
  });

  it('refuses bytes that JSON cannot carry, naming the tensor', () => {
    const tensor = new Tensor('BYTES', [1], Uint8Array.of(1, 0, 0, 0, 0xff));
    expect(() => formatElements('x', tensor)).toThrow(
      refusal('ERR_INVALID_INPUT', /^tensor "x" cannot be written as JSON/),
    );
  });
});
