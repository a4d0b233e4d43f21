import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  EXECUTION_LIMIT_FACTOR,
  ExecutionTimes,
  executionLimitMs,
  MAX_MEASURED_EXECUTIONS,
  MIN_EXECUTION_LIMIT_MS,
  MIN_MEASURED_EXECUTIONS,
} from '../../../../src/policy/execution-limit.ts';

function measured(...elapsedMs: readonly number[]): ExecutionTimes {
  const times = new ExecutionTimes();
  for (const ms of elapsedMs) times.record(ms);
  return times;
}

describe('ExecutionTimes', () => {
  it('knows nothing before the first execution', () => {
    expect(measured()).toMatchObject({ count: 0, p99Ms: null });
  });

  it('takes the p99 by nearest rank, whatever the order', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
    expect(measured(...hundred.toReversed()).p99Ms).toBe(99);
    expect(measured(...hundred, 1000).p99Ms).toBe(100);
    expect(measured(7).p99Ms).toBe(7);
  });

  it('notices an execution after the p99 was asked for', () => {
    const times = measured(1);
    expect(times.p99Ms).toBe(1);
    times.record(9);
    expect(times.p99Ms).toBe(9);
  });

  it('forgets all but the last 512', () => {
    const times = measured(...Array.from({ length: MAX_MEASURED_EXECUTIONS }, () => 1000));
    for (let index = 0; index < MAX_MEASURED_EXECUTIONS; index += 1) times.record(1);
    expect(times.count).toBe(MAX_MEASURED_EXECUTIONS);
    expect(times.p99Ms).toBe(1);
  });

  it('takes the p99 over the last 512, whatever came before and in whatever order', () => {
    // Few different times, so that equal ones come and go.
    const elapsed = fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 1200 });
    fc.assert(
      fc.property(elapsed, (all) => {
        const last = all.slice(-MAX_MEASURED_EXECUTIONS).toSorted((a, b) => a - b);
        expect(measured(...all)).toMatchObject({
          count: last.length,
          p99Ms: last[Math.ceil(0.99 * last.length) - 1],
        });
      }),
    );
  });
});

describe('executionLimitMs', () => {
  it('is the node’s own limit until enough were measured', () => {
    expect(executionLimitMs({ count: 0, p99Ms: null }, 10_000)).toBe(10_000);
    expect(executionLimitMs({ count: MIN_MEASURED_EXECUTIONS - 1, p99Ms: 1 }, 10_000)).toBe(10_000);
    expect(executionLimitMs({ count: MIN_MEASURED_EXECUTIONS, p99Ms: 1 }, 10_000)).toBe(
      MIN_EXECUTION_LIMIT_MS,
    );
  });

  it('is ten times the p99, not under a second and not over the node’s own limit', () => {
    expect(EXECUTION_LIMIT_FACTOR).toBe(10);
    const limit = (p99Ms: number): number => executionLimitMs({ count: 512, p99Ms }, 10_000);
    expect([1, 100, 300.01, 999, 5_000].map(limit)).toEqual([1_000, 1_000, 3_001, 9_990, 10_000]);
  });

  it('leaves an execution that is expected to take longer ten times that', () => {
    const times = { count: 512, p99Ms: 200 };
    expect(executionLimitMs(times, 10_000, 400)).toBe(4_000);
    expect(executionLimitMs(times, 10_000, 4_000)).toBe(10_000);
    expect(executionLimitMs(times, 10_000, 100)).toBe(2_000);
  });
});
