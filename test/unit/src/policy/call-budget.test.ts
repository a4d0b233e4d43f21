import { describe, expect, it } from 'vitest';
import { CallBudget, HEDGE_BUDGET, RETRY_BUDGET } from '../../../../src/policy/call-budget.ts';

function takeAll(budget: CallBudget, nowMs: number): number {
  let taken = 0;
  while (budget.take(nowMs)) taken += 1;
  return taken;
}

describe('CallBudget', () => {
  it('lets one in five calls be retried once the burst is used up', () => {
    const budget = new CallBudget({ perCall: 0.2, burst: 10 });
    expect(takeAll(budget, 0)).toBe(10);
    for (let calls = 0; calls < 20; calls += 1) budget.called();
    // In binary a fifth is a little more than a fifth.
    expect(takeAll(budget, 0)).toBe(4);
  });

  it('fills with time for who calls rarely, up to the burst', () => {
    const budget = new CallBudget(RETRY_BUDGET);
    expect(takeAll(budget, 0)).toBe(100);
    expect(budget.waitMs(0)).toBe(100);
    expect(takeAll(budget, 1_000)).toBe(10);
    expect(takeAll(budget, 3_600_000)).toBe(100);
  });

  it('has no time to wait for when only calls fill it', () => {
    const budget = new CallBudget(HEDGE_BUDGET);
    expect(budget.waitMs(0)).toBe(0);
    takeAll(budget, 0);
    expect(budget.waitMs(0)).toBe(Number.POSITIVE_INFINITY);
  });

  it('is not moved by a clock that goes back', () => {
    const budget = new CallBudget(RETRY_BUDGET);
    takeAll(budget, 1_000);
    expect(budget.take(0)).toBe(false);
  });
});
