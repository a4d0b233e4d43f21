import { describe, expect, it } from 'vitest';
import { isSampled } from '../../../../src/policy/sampling.ts';

describe('isSampled', () => {
  const rule = { firstAnswers: 5, share: 0.02 };

  it('takes every answer of a node until so many of them were found to be right', () => {
    for (let credit = 0; credit < 5; credit += 1) {
      expect(isSampled(credit, rule, () => 0.999)).toBe(true);
    }
    expect(isSampled(5, rule, () => 0.999)).toBe(false);
  });

  it('takes its share of the answers of a node with credit', () => {
    expect(isSampled(5, rule, () => 0.0199)).toBe(true);
    expect(isSampled(5, rule, () => 0.02)).toBe(false);
    expect(isSampled(5, { ...rule, share: 0 }, () => 0)).toBe(false);
  });
});
