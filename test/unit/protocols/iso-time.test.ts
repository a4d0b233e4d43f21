import { expect, it } from 'vitest';
import { isoTime } from '../../../protocols/iso-time.ts';

it.each([
  [0, '1970-01-01T00:00:00.000Z'],
  [8_640_000_000_000_001, '8640000000000001'],
  [Number.MAX_SAFE_INTEGER, '9007199254740991'],
])('isoTime tells %d as %s', (ms, text) => {
  expect(isoTime(ms)).toBe(text);
});
