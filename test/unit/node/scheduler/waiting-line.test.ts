import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SYSTEM_CLOCK } from '../../../../node/scheduler/clock.ts';
import { type LineEntry, WaitingLine } from '../../../../node/scheduler/waiting-line.ts';
import { Cancellation } from '../../../../protocols/inference/index.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** What became of an entry, in the order it was told. */
interface Handed {
  readonly entry: LineEntry;
  readonly told: unknown[];
}

function hand(
  line: WaitingLine,
  init: { priority?: number; inMs?: number; cancellation?: Cancellation } = {},
): Handed {
  const told: unknown[] = [];
  const now = performance.now();
  const entry: LineEntry = {
    inputs: [],
    outputs: [],
    caller: '',
    cost: 1,
    form: undefined,
    priority: init.priority ?? 0,
    submittedAtMs: now,
    deadlineAtMs: now + (init.inMs ?? Number.POSITIVE_INFINITY),
    cancellation: init.cancellation,
    onExpired: (phase) => new Error(phase),
    resolve: (result) => told.push(result),
    reject: (reason) => told.push(reason),
  };
  line.add(entry);
  return { entry, told };
}

const RESULT = { outputs: [], queueMs: 0, executeMs: 1, together: 1 };

describe('WaitingLine', () => {
  test('gives requests in the order they came', () => {
    const line = new WaitingLine(SYSTEM_CLOCK);
    const marks = [1, 2, 3].map((n) => hand(line, { inMs: n * 1000 }).entry.deadlineAtMs);
    expect(line.length).toBe(3);
    expect(marks.map(() => line.take()?.deadlineAtMs)).toEqual(marks);
    expect(line.take()).toBeUndefined();
    expect(line.length).toBe(0);
  });

  test('gives higher priorities first, first come first within one', () => {
    const line = new WaitingLine(SYSTEM_CLOCK);
    for (const priority of [0, 5, -1, 5, 0]) hand(line, { priority });
    const order = Array.from({ length: 5 }, () => line.take()?.priority);
    expect(order).toEqual([5, 5, 0, 0, -1]);
  });

  test('a request whose deadline passes leaves by itself, in phase queue', () => {
    const line = new WaitingLine(SYSTEM_CLOCK);
    const late = hand(line, { inMs: 100 });
    const patient = hand(line);
    vi.advanceTimersByTime(99);
    expect(line.length).toBe(2);
    vi.advanceTimersByTime(2);
    expect(late.told).toEqual([new Error('queue')]);
    expect([line.length, patient.told]).toEqual([1, []]);
  });

  test('a taken request that has not begun when its deadline passes is in phase queue still', () => {
    const line = new WaitingLine(SYSTEM_CLOCK);
    const late = hand(line, { inMs: 100 });
    line.take();
    vi.advanceTimersByTime(101);
    expect(late.told).toEqual([new Error('queue')]);
  });

  test('a request whose deadline passes once it has begun is told so, in phase execute, and its result comes too late', () => {
    const line = new WaitingLine(SYSTEM_CLOCK);
    const late = hand(line, { inMs: 100 });
    const request = line.take();
    request?.begin();
    vi.advanceTimersByTime(101);
    expect(late.told).toEqual([new Error('execute')]);
    request?.resolve(RESULT);
    // Whoever listens is a promise, for which the first settling counts.
    expect(late.told[0]).toEqual(new Error('execute'));
    expect(line.length).toBe(0);
  });

  test('a deadline farther than a timer reaches is waited for', () => {
    const line = new WaitingLine(SYSTEM_CLOCK);
    const far = hand(line, { inMs: 2 ** 31 + 1000 });
    vi.advanceTimersByTime(2 ** 31);
    expect([line.length, far.told]).toEqual([1, []]);
    vi.advanceTimersByTime(1001);
    expect(far.told).toEqual([new Error('queue')]);
  });

  test('a cancelled request leaves at once with the reason', () => {
    const line = new WaitingLine(SYSTEM_CLOCK);
    const cancellation = new Cancellation();
    const cancelled = hand(line, { cancellation, inMs: 100 });
    hand(line);
    const reason = new Error('enough');
    cancellation.cancel(reason);
    expect(cancelled.told).toEqual([reason]);
    expect(line.length).toBe(1);
    vi.advanceTimersByTime(1_000);
    expect(cancelled.told).toEqual([reason]);
  });

  test('an answered request hears of neither its deadline nor its caller any more', () => {
    const line = new WaitingLine(SYSTEM_CLOCK);
    const cancellation = new Cancellation();
    const answered = hand(line, { cancellation, inMs: 100 });
    line.take()?.resolve(RESULT);
    vi.advanceTimersByTime(1_000);
    cancellation.cancel(new Error('too late'));
    expect(answered.told).toEqual([RESULT]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
