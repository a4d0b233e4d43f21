import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SYSTEM_CLOCK } from '../../../../node/scheduler/clock.ts';
import { Deadlines, type Expiring } from '../../../../node/scheduler/deadlines.ts';

/** One of so many milliseconds from now on, and when it was told. */
function member(inMs: number, onLate: () => void = () => {}) {
  const deadlineAtMs = performance.now() + inMs;
  const told: number[] = [];
  const one: Expiring & { readonly told: readonly number[] } = {
    deadlineAtMs,
    place: -1,
    told,
    late() {
      told.push(Math.round(performance.now() - deadlineAtMs));
      onLate();
    },
  };
  return one;
}

describe('Deadlines', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('tells each once that its deadline has passed, whatever the order in which they came', () => {
    const deadlines = new Deadlines(SYSTEM_CLOCK);
    const members = [300, 100, 200, 100].map((inMs) => member(inMs));
    for (const one of members) deadlines.add(one);
    vi.advanceTimersByTime(150);
    expect(members.map(({ told }) => told)).toEqual([[], [0], [], [0]]);
    vi.advanceTimersByTime(1_000);
    expect(members.map(({ told }) => told)).toEqual([[0], [0], [0], [0]]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('has one timer for all, and none when nobody is left', () => {
    const deadlines = new Deadlines(SYSTEM_CLOCK);
    const members = [300, 100, 200].map((inMs) => member(inMs));
    for (const one of members) deadlines.add(one);
    expect(vi.getTimerCount()).toBe(1);
    for (const one of members) deadlines.remove(one);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('tells those that were removed nothing, and those that took their place all the same', () => {
    const deadlines = new Deadlines(SYSTEM_CLOCK);
    const members = [100, 200, 300].map((inMs) => member(inMs));
    for (const one of members) deadlines.add(one);
    const [first, , last] = members;
    if (first !== undefined) deadlines.remove(first);
    if (first !== undefined) deadlines.remove(first);
    if (last !== undefined) deadlines.remove(last);
    vi.advanceTimersByTime(1_000);
    expect(members.map(({ told }) => told)).toEqual([[], [0], []]);
  });

  test('does not watch what has none, and waits for one that is farther than a timer reaches', () => {
    const deadlines = new Deadlines(SYSTEM_CLOCK);
    deadlines.add(member(Number.POSITIVE_INFINITY));
    expect(vi.getTimerCount()).toBe(0);
    const far = member(2 ** 31 + 500);
    deadlines.add(far);
    vi.advanceTimersByTime(2 ** 31);
    expect(far.told).toEqual([]);
    vi.advanceTimersByTime(500);
    expect(far.told).toEqual([0]);
  });

  test('one that is told may add others and remove those that are late with it', () => {
    const deadlines = new Deadlines(SYSTEM_CLOCK);
    const second = member(100);
    const third = member(150);
    deadlines.add(
      member(100, () => {
        deadlines.remove(second);
        deadlines.add(third);
      }),
    );
    deadlines.add(second);
    vi.advanceTimersByTime(1_000);
    expect([second.told, third.told]).toEqual([[], [0]]);
  });
});
