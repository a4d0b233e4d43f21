import { describe, expect, it } from 'vitest';
import {
  BusyError,
  DeadlineError,
  ExecutionError,
  InvalidInputError,
} from '../../../../protocols/errors.ts';
import { latencyBucket } from '../../../../protocols/outcome/index.ts';
import { OutcomeTally, outcomeOfError } from '../../../../src/swarm/outcome-tally.ts';

const all = { withoutWorstCaller: false };
const fair = { withoutWorstCaller: true };
const answered = { kind: 'answered', latencyMs: 10 } as const;
const failed = { kind: 'execution' } as const;

function record(
  tally: OutcomeTally,
  count: number,
  outcome: typeof answered | typeof failed,
  atMs: number,
  caller?: string,
) {
  for (let index = 0; index < count; index += 1) tally.record(outcome, atMs, caller);
}

const sum = (buckets: readonly number[]): number =>
  buckets.reduce((total, count) => total + count, 0);

describe('outcomeOfError', () => {
  it.each([
    ['a model that failed', new ExecutionError('x'), 5, { kind: 'execution' }],
    [
      'a deadline in the model after a second',
      new DeadlineError('x', 'execute'),
      1_000,
      { kind: 'timeout' },
    ],
    ['a deadline too short for anything', new DeadlineError('x', 'execute'), 999, undefined],
    ['a deadline in the queue', new DeadlineError('x', 'queue'), 5_000, undefined],
    ['a busy node', new BusyError('x', 1), 5, undefined],
    ['a wrong input', new InvalidInputError('x'), 5, undefined],
    ['a caller that gave up', new DOMException('x', 'AbortError'), 5_000, undefined],
  ])('counts %s as it should', (_, error, elapsedMs, outcome) => {
    expect(outcomeOfError(error, elapsedMs)).toEqual(outcome);
  });
});

describe('OutcomeTally', () => {
  it('counts from a moment on', () => {
    const tally = new OutcomeTally();
    record(tally, 3, answered, 1_000);
    record(tally, 2, failed, 5_000);
    record(tally, 4, answered, 9_000);
    expect(sum(tally.since(0, all).latencies)).toBe(7);
    expect(tally.since(5_000, all)).toMatchObject({ execution: 2 });
    expect(sum(tally.since(5_001, all).latencies)).toBe(4);
    expect(tally.since(5_001, all).execution).toBe(0);
    expect(tally.since(9_001, all)).toEqual({ execution: 0, timeout: 0, latencies: [] });
  });

  it('puts latencies into their buckets', () => {
    const tally = new OutcomeTally();
    tally.record({ kind: 'answered', latencyMs: 10 }, 0);
    tally.record({ kind: 'answered', latencyMs: 0.1 }, 0);
    const { latencies } = tally.since(0, all);
    expect([latencies[0], latencies[latencyBucket(10)], sum(latencies)]).toEqual([1, 1, 2]);
  });

  it('keeps the last window in which there was something, however long ago', () => {
    const tally = new OutcomeTally();
    record(tally, 5, failed, 1_000);
    record(tally, 3, answered, 100_000);
    expect(tally.last(10_000, all)).toMatchObject({ execution: 0 });
    expect(sum(tally.last(10_000, all).latencies)).toBe(3);
    expect(tally.last(99_000, all)).toMatchObject({ execution: 5 });
  });

  it('leaves out the caller with the most failures, with all it asked', () => {
    const tally = new OutcomeTally();
    record(tally, 10, answered, 0, 'alice');
    record(tally, 1, failed, 0, 'alice');
    record(tally, 500, failed, 0, 'mallory');
    record(tally, 100, answered, 0, 'mallory');
    const counts = tally.since(0, fair);
    expect([counts.execution, sum(counts.latencies)]).toEqual([1, 10]);
    expect(tally.since(0, all).execution).toBe(501);
  });

  it('leaves nobody out while nothing fails', () => {
    const tally = new OutcomeTally();
    record(tally, 10, answered, 0, 'alice');
    expect(sum(tally.since(0, fair).latencies)).toBe(10);
  });

  it('tells 64 callers apart in a second and counts the others as one', () => {
    const tally = new OutcomeTally();
    for (let index = 0; index < 1_000; index += 1) record(tally, 1, answered, 0, `caller-${index}`);
    record(tally, 5, failed, 0, 'mallory');
    record(tally, 5, failed, 0, 'mallet');
    expect(tally.since(0, fair).execution).toBe(0);
    expect(sum(tally.since(0, all).latencies)).toBe(1_000);
  });

  it('holds a long window as whole as a short one, joining what is old', () => {
    const tally = new OutcomeTally();
    for (let second = 0; second < 3_600; second += 1) record(tally, 1, answered, second * 1_000);
    expect(sum(tally.since(0, all).latencies)).toBe(3_600);
    expect(sum(tally.since(3_590_000, all).latencies)).toBe(10);
    const half = sum(tally.since(1_800_000, all).latencies);
    expect(half).toBeGreaterThanOrEqual(1_800);
    expect(half).toBeLessThan(1_800 + 1_800 / 15);
  });

  it('forgets what is older than a day', () => {
    const tally = new OutcomeTally();
    record(tally, 7, failed, 0);
    for (let second = 0; second < 300; second += 1)
      record(tally, 1, answered, 86_400_000 + second * 1_000);
    expect(tally.since(0, all).execution).toBe(0);
  });
});
