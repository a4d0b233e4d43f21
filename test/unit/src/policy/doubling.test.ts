import { describe, expect, it } from 'vitest';
import { doubledMs } from '../../../../src/policy/doubling.ts';

describe('doubledMs', () => {
  it('begins with the first, doubles with each failure before, and stays at the most', () => {
    expect([-1, 0, 1, 2, 3].map((times) => doubledMs(times, 10, 50))).toEqual([10, 10, 20, 40, 50]);
    expect(doubledMs(10_000, 10, 50)).toBe(50);
  });
});
