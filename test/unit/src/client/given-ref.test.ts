import { expect, test } from 'vitest';
import { type ModelRef, parseModelRef } from '../../../../protocols/reference.ts';
import { toModelRef } from '../../../../src/client/given-ref.ts';
import { refusal } from '../../../support/refusal.ts';

const REF = parseModelRef('12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5/digits@beta');

test('toModelRef takes a text, and a reference that was parsed', () => {
  expect(toModelRef(`${REF.publisher}/digits@beta`)).toEqual(REF);
  expect(toModelRef(REF)).toBe(REF);
});

test.each<[unknown, string | RegExp]>([
  [
    { ...REF, channel: 'stable' },
    "model reference: unknown 'channel', known are: publisher, name, selector",
  ],
  [{ publisher: REF.publisher, name: 'digits' }, /publisher, name and selector as parseModelRef/],
  [{ ...REF, name: 7 }, /publisher, name and selector as parseModelRef/],
  [7, 'model reference: expected a text, found 7'],
  ['digits', /^model reference "digits" is not valid/],
])('toModelRef refuses %j', (ref, message) => {
  expect(() => toModelRef(ref as ModelRef)).toThrow(refusal('ERR_INVALID_INPUT', message));
});
