import { expect, it } from 'vitest';
import { median } from '../../../../src/policy/median.ts';

it('median is the middle value, of two the lower, and none of none', () => {
  expect([[3, 1, 2], [4, 1, 3, 2], [7], []].map(median)).toEqual([2, 2, 7, undefined]);
});
