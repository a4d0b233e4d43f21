/**
 * JSON in which no number loses a digit: integers beyond 2^53 are bigints, floats of 16 and 32 bits are as short as they can be.
 */

import { f16round } from '@petamoriken/float16';
import { InvalidInputError } from './errors.ts';

/** Digits that can lie outside of 2^53; fewer cannot. */
const LONG_NUMBER = /\d{16}/;

/** An integer of at most the length of a 64-bit one, with room for leading garbage: a longer one fits no datatype. */
const LONG_INTEGER = /^-?\d{16,40}$/;

/** Least positive normal numbers: below, a float has fewer digits than above. */
const LEAST_NORMAL = { FP16: 2 ** -14, FP32: 2 ** -126 } as const;

/** Decimal digits that tell any two floats apart, ⌈1 + bits · log10 2⌉. */
const MAX_DIGITS = { FP16: 5, FP32: 9 } as const;

/** Integers below have no shorter form in any float; toPrecision, which drops the sign of zero, never sees them. */
const SHORT_INTEGER = 100;

/**
 * Parses JSON as `JSON.parse` does, except that an integer which a number would round becomes a bigint.
 *
 * @throws {ERR_INVALID_INPUT} when it is not JSON or is nested too deep; the message says where.
 */
export function parseExactJson(text: string): unknown {
  try {
    // The reviver costs ten times the parser; most texts have no number that needs it.
    return LONG_NUMBER.test(text) ? JSON.parse(text, exactInteger) : JSON.parse(text);
  } catch (cause) {
    throw new InvalidInputError(`not JSON: ${(cause as Error).message.slice(0, 200)}`, {
      cause,
    });
  }
}

/** @see https://tc39.es/proposal-json-parse-with-source/, in V8 since 11.4. */
function exactInteger(
  this: unknown,
  _key: string,
  value: unknown,
  context?: { readonly source?: string },
): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  const source = context?.source;
  return source !== undefined && LONG_INTEGER.test(source) ? BigInt(source) : value;
}

/** A finite number as JSON, with its sign also where it is zero. */
export function formatNumber(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

/** A finite float as JSON, in the fewest digits that a reader who rounds to `datatype` gets it back from: 0.1 for FP32's 0.10000000149011612. */
export function formatShortFloat(datatype: 'FP16' | 'FP32', value: number): string {
  if (Number.isSafeInteger(value) && Math.abs(value) < SHORT_INTEGER) return formatNumber(value);
  const round = datatype === 'FP16' ? f16round : Math.fround;
  // A short decimal comes out of toPrecision with its zeros; only below the normal numbers can fewer digits do more.
  const fewest = Math.abs(value) < LEAST_NORMAL[datatype] ? 1 : MAX_DIGITS[datatype] - 3;
  for (let digits = fewest; digits < MAX_DIGITS[datatype]; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (round(short) === value) return formatNumber(short);
  }
  return formatNumber(Number(value.toPrecision(MAX_DIGITS[datatype])));
}
