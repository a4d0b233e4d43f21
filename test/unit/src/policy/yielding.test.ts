import { expect, test } from 'vitest';
import { QUIET_LOOKS, Yielding } from '../../../../src/policy/yielding.ts';

test('Yielding leaves the GPU at the first sight of another, and takes it again when it was quiet for long', () => {
  const yielding = new Yielding();
  expect(yielding.look(false)).toBe(false);
  expect(yielding.look(true)).toBe(true);
  const quiet = (looks: number) => Array.from({ length: looks }, () => yielding.look(false));
  expect(quiet(QUIET_LOOKS - 1)).toEqual(Array(QUIET_LOOKS - 1).fill(true));
  expect(yielding.look(true)).toBe(true);
  expect(quiet(QUIET_LOOKS)).toEqual([...Array(QUIET_LOOKS - 1).fill(true), false]);
});
