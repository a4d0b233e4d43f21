import { expect, test } from 'vitest';
import { DEFAULT_PRICE_PER_KWH, resolveNodeCost } from '../../../node/node-cost.ts';
import { refusal } from '../../support/refusal.ts';

test('resolveNodeCost makes of watts what they cost in an hour, and leaves a cost as it was said', () => {
  expect(DEFAULT_PRICE_PER_KWH).toBe(0.3);
  expect(resolveNodeCost({})).toEqual({ costPerHour: undefined, watts: undefined });
  expect(resolveNodeCost({ costPerHour: 2.5 })).toEqual({ costPerHour: 2.5, watts: undefined });
  expect(resolveNodeCost({ watts: 500 })).toEqual({ costPerHour: 0.15, watts: 500 });
  expect(resolveNodeCost({ watts: 500, pricePerKwh: 0.1 }).costPerHour).toBeCloseTo(0.05, 12);
  expect(resolveNodeCost({ watts: 500, pricePerKwh: 0 }).costPerHour).toBe(0);
  // A price alone may stand in a file that all nodes of an owner share.
  expect(resolveNodeCost({ costPerHour: 1, pricePerKwh: 5 }).costPerHour).toBe(1);
});

test.each([
  [{ costPerHour: 1, watts: 300 }, 'costPerHour and watts are both set, expected one of them'],
  [{ watts: -1 }, 'watts is -1, expected a number from 0 to 1000000'],
  [{ watts: Number.NaN }, 'watts is NaN, expected a number from 0 to 1000000'],
  [{ watts: 300, pricePerKwh: 1_001 }, 'pricePerKwh is 1001, expected a number from 0 to 1000'],
  [{ costPerHour: 1_000_001 }, 'costPerHour is 1000001, expected a number from 0 to 1000000'],
])('resolveNodeCost refuses %j', (init, message) => {
  expect(() => resolveNodeCost(init)).toThrow(refusal('ERR_CONFIG', message));
});

test('resolveNodeCost takes the most that others believe, and no more', () => {
  expect(resolveNodeCost({ watts: 1_000_000, pricePerKwh: 1_000 }).costPerHour).toBe(1_000_000);
});
