import { describe, expect, it } from 'vitest';
import {
  avoidedUntilMs,
  type Charge,
  chargeOf,
  DOUBT_MS,
} from '../../../../src/policy/distrust.ts';
import type { OutputDifference } from '../../../../src/policy/output-comparison.ts';

const wrong: OutputDifference = {
  output: 'score',
  element: 0,
  expected: '1',
  found: '2',
  tolerance: { absolute: 0.01, relative: 0 },
};
const tie: OutputDifference = { ...wrong, output: 'label', tolerance: null };

describe('chargeOf', () => {
  it('is a lie when two owners on the same provider say otherwise', () => {
    const witnesses = ['cpu', 'cpu'];
    expect(chargeOf({ difference: wrong, provider: 'cpu', witnesses })).toBe('lie');
  });

  it('is a lie when one of the witnesses runs on the same provider', () => {
    const witnesses = ['cpu', 'cuda'];
    expect(chargeOf({ difference: wrong, provider: 'cpu', witnesses })).toBe('lie');
  });

  it('is nothing when one owner alone says otherwise', () => {
    expect(chargeOf({ difference: wrong, provider: 'cpu', witnesses: ['cpu'] })).toBeUndefined();
  });

  it('is a doubt when all witnesses run on other providers', () => {
    const witnesses = ['cpu', 'cpu'];
    expect(chargeOf({ difference: wrong, provider: 'cuda', witnesses })).toBe('other provider');
  });

  it('is a doubt when a near tie explains it', () => {
    const witnesses = ['cpu', 'cpu'];
    expect(chargeOf({ difference: tie, provider: 'cpu', witnesses })).toBe('near tie');
  });
});

describe('avoidedUntilMs', () => {
  const charges = (...given: readonly [Charge, string, number][]) =>
    given.map(([charge, inputDigest, atMs]) => ({ charge, inputDigest, atMs }));

  it('is at once for a node without charges', () => {
    expect(avoidedUntilMs([])).toBe(0);
  });

  it('is never for a liar', () => {
    expect(avoidedUntilMs(charges(['lie', 'a', 5]))).toBe(Number.POSITIVE_INFINITY);
  });

  it('is an hour after the last doubt', () => {
    const doubts = charges(['near tie', 'a', 5], ['other provider', 'b', 7]);
    expect(avoidedUntilMs(doubts)).toBe(7 + DOUBT_MS);
  });

  it('is never after near ties on three inputs', () => {
    const two = charges(['near tie', 'a', 1], ['near tie', 'b', 2], ['near tie', 'a', 3]);
    expect(avoidedUntilMs(two)).toBe(3 + DOUBT_MS);
    expect(avoidedUntilMs([...two, ...charges(['near tie', 'c', 4])])).toBe(
      Number.POSITIVE_INFINITY,
    );
  });

  it('is an hour after however many doubts that another provider explains', () => {
    const doubts = ['a', 'b', 'c', 'd'].map((input) => ['other provider', input, 1] as const);
    expect(
      avoidedUntilMs(charges(...doubts.map((doubt) => [...doubt] as [Charge, string, number]))),
    ).toBe(1 + DOUBT_MS);
  });
});
