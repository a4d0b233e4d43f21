import { f16round } from '@petamoriken/float16';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatNumber, formatShortFloat, parseExactJson } from '../../../protocols/exact-json.ts';
import { Tensor } from '../../../protocols/tensor.ts';

describe('parseExactJson', () => {
  it('gives an integer that a number would round as a bigint, and every other value as JSON.parse does', () => {
    expect(
      parseExactJson('[9007199254740991, 9007199254740993, -9223372036854775808, 0.1, 1e300]'),
    ).toEqual([9007199254740991, 9007199254740993n, -(2n ** 63n), 0.1, 1e300]);
  });

  it('leaves a number of more digits than any datatype has to floats', () => {
    expect(parseExactJson('1'.padEnd(41, '0'))).toBe(1e40);
    expect(parseExactJson('1'.padEnd(40, '0'))).toBe(10n ** 39n);
  });

  it('keeps a key named __proto__ an ordinary key', () => {
    const value = parseExactJson('{"__proto__": {"x": 18446744073709551615}}');
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(Object.keys(value as object)).toEqual(['__proto__']);
  });

  it.each([
    ['', /not JSON/],
    ['{"inputs": [', /not JSON/],
    ['[NaN]', /not JSON/],
    // Deep enough to exhaust the stack of a reader that recurses.
    [`12345678901234567890${'['.repeat(100_000)}`, /not JSON/],
    [`${'['.repeat(100_000)}12345678901234567890${']'.repeat(100_000)}`, /not JSON/],
  ])('refuses what is not JSON or is nested too deep (%#)', (text, message) => {
    expect(() => parseExactJson(text)).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_INPUT',
        message: expect.stringMatching(message),
      }),
    );
  });
});

describe('formatShortFloat', () => {
  it.each([
    ['FP32', 0.1, '0.1'],
    ['FP32', 16_777_216, '16777216'],
    ['FP32', 3.4028234663852886e38, '3.4028235e+38'],
    ['FP32', 2 ** -149, '1e-45'],
    ['FP32', -0, '-0'],
    ['FP16', 0.1, '0.1'],
    ['FP16', 65_504, '65500'],
    ['FP16', 2 ** -24, '6e-8'],
  ] as const)('writes %s %d as %s', (datatype, value, text) => {
    const round = datatype === 'FP16' ? f16round : Math.fround;
    expect(formatShortFloat(datatype, round(value))).toBe(text);
  });

  it('reads back as the same float, for every FP32', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const text = formatShortFloat('FP32', value);
        expect(Math.fround(JSON.parse(text) as number)).toBe(value);
        expect(text.length).toBeLessThanOrEqual(String(value).length + 1);
      }),
    );
  });

  it('reads back as the same float, for every FP16', () => {
    const floats = Tensor.from(
      'FP16',
      [0x7c00],
      Uint16Array.from({ length: 0x7c00 }, (_, i) => i),
    );
    const changed = (floats.toArray() as number[]).filter(
      (value) => f16round(Number(formatShortFloat('FP16', value))) !== value,
    );
    expect(changed).toEqual([]);
  });
});

describe('formatNumber', () => {
  it('keeps the sign of zero', () => {
    expect(Object.is(JSON.parse(formatNumber(-0)), -0)).toBe(true);
    expect(formatNumber(0)).toBe('0');
  });
});
