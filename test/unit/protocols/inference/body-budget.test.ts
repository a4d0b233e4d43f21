import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { BodyArrival } from '../../../../protocols/inference/body-budget.ts';
import { BodyBudget, DEFAULT_BODY_BUDGET_BYTES } from '../../../../protocols/inference/index.ts';
import { BODY_PACE_MS, PACE_WINDOW_MS } from '../../../../protocols/limits.ts';

describe('BodyBudget', () => {
  it('grants up to its bytes at once and not one more', () => {
    const budget = new BodyBudget(100);
    const grants = [vi.fn(), vi.fn(), vi.fn()];
    const [first] = [60, 40, 1].map((bytes, index) =>
      budget.reserve(bytes, grants[index] ?? vi.fn()),
    );
    expect(grants.map(({ mock }) => mock.calls.length)).toEqual([1, 1, 0]);
    expect(budget.usedBytes).toBe(100);
    first?.();
    expect(grants[2]).toHaveBeenCalledTimes(1);
    expect(budget.usedBytes).toBe(41);
  });

  it('grants in the order of the calls: a small one does not pass a large one', () => {
    const budget = new BodyBudget(100);
    const order: string[] = [];
    const first = budget.reserve(80, () => order.push('first'));
    budget.reserve(90, () => order.push('large'));
    budget.reserve(1, () => order.push('small'));
    expect(order).toEqual(['first']);
    first();
    expect(order).toEqual(['first', 'large', 'small']);
  });

  it('lets a body in alone that is larger than all of it', () => {
    const budget = new BodyBudget(100);
    const grant = vi.fn();
    const small = budget.reserve(1, () => {});
    const large = budget.reserve(1000, grant);
    expect(grant).not.toHaveBeenCalled();
    small();
    expect(grant).toHaveBeenCalledTimes(1);
    const after = vi.fn();
    budget.reserve(1, after);
    expect(after).not.toHaveBeenCalled();
    large();
    expect(after).toHaveBeenCalledTimes(1);
  });

  it('gives a place in the line back, and moves those behind it up', () => {
    const budget = new BodyBudget(100);
    const [large, small] = [vi.fn(), vi.fn()];
    budget.reserve(50, () => {});
    const giveUp = budget.reserve(60, large);
    budget.reserve(50, small);
    giveUp();
    expect(small).toHaveBeenCalledTimes(1);
    expect(large).not.toHaveBeenCalled();
    expect(budget.usedBytes).toBe(100);
  });

  it('gives back once', () => {
    const budget = new BodyBudget(100);
    const [first, second, third] = [vi.fn(), vi.fn(), vi.fn()];
    const giveBack = [
      budget.reserve(50, first),
      budget.reserve(60, second),
      budget.reserve(70, third),
    ];
    giveBack[0]?.();
    giveBack[0]?.();
    expect(budget.usedBytes).toBe(60);
    giveBack[1]?.();
    expect(third).toHaveBeenCalledTimes(1);
    giveBack[2]?.();
    expect(budget.usedBytes).toBe(0);
  });

  /** A body of a caller that never comes too slowly. */
  const of = (caller: string): BodyArrival => ({
    caller,
    receivedBytes: () => Number.POSITIVE_INFINITY,
    tooSlow: () => {},
  });

  it('gives a caller half while it is alone, and not one byte more', () => {
    const budget = new BodyBudget(100);
    const grants = [vi.fn(), vi.fn(), vi.fn()];
    const giveBack = [30, 20, 1].map((bytes, index) =>
      budget.reserve(bytes, grants[index] ?? vi.fn(), of('a')),
    );
    expect(grants.map(({ mock }) => mock.calls.length)).toEqual([1, 1, 0]);
    giveBack[1]?.();
    expect(grants[2]).toHaveBeenCalledTimes(1);
  });

  it('lets callers who come anew in at once, whatever those have waiting who were there before', () => {
    const budget = new BodyBudget(120);
    const order: string[] = [];
    for (const caller of ['a', 'b', 'c']) {
      for (let body = 0; body < 50; body += 1)
        budget.reserve(5, () => order.push(caller), of(caller));
    }
    const count = (caller: string) => order.filter((one) => one === caller).length;
    // A half, half of the rest, half of what that leaves.
    expect([count('a'), count('b'), count('c')]).toEqual([12, 6, 3]);
  });

  it('lets the only body of a caller in that is larger than its share, and no second', () => {
    const budget = new BodyBudget(100);
    const [first, second, other] = [vi.fn(), vi.fn(), vi.fn()];
    const giveBack = budget.reserve(90, first, of('a'));
    budget.reserve(1, second, of('a'));
    budget.reserve(10, other, of('b'));
    expect([first, second, other].map(({ mock }) => mock.calls.length)).toEqual([1, 0, 1]);
    giveBack();
    expect(second).toHaveBeenCalledTimes(1);
  });

  it('keeps the room that comes free for whoever has least, however many smaller ones others send', () => {
    const budget = new BodyBudget(100);
    const order: string[] = [];
    const givers: (() => void)[] = [];
    const flood = (): void => {
      for (let body = 0; body < 10; body += 1)
        givers.push(budget.reserve(10, () => order.push('many'), of('many')));
    };
    flood();
    expect(order).toHaveLength(5);
    budget.reserve(80, () => order.push('large'), of('one'));
    for (let round = 0; round < 3; round += 1) {
      flood();
      givers.shift()?.();
    }
    expect(order.slice(5)).toEqual(['large']);
  });

  it('has 512 MiB by default', () => {
    expect(DEFAULT_BODY_BUDGET_BYTES).toBe(536_870_912);
    const budget = new BodyBudget();
    const grant = vi.fn();
    budget.reserve(DEFAULT_BODY_BUDGET_BYTES, grant);
    budget.reserve(1, grant);
    expect(grant).toHaveBeenCalledTimes(1);
  });

  it('counts to zero again, and never holds more than its bytes, whatever is reserved and given back', () => {
    const moves = fc.array(
      fc.record({ bytes: fc.integer({ min: 1, max: 150 }), release: fc.nat() }),
    );
    fc.assert(
      fc.property(moves, (steps) => {
        const budget = new BodyBudget(100);
        const open: { readonly bytes: number; granted: boolean; readonly giveBack: () => void }[] =
          [];
        const check = (): void => {
          const granted = open.filter((entry) => entry.granted);
          expect(budget.usedBytes).toBe(granted.reduce((sum, { bytes }) => sum + bytes, 0));
          expect(granted.length <= 1 || budget.usedBytes <= 100).toBe(true);
          // Whoever is first in the line waits for room alone.
          const next = open.find((entry) => !entry.granted);
          expect(next === undefined || budget.usedBytes + next.bytes > 100).toBe(true);
        };
        for (const { bytes, release } of steps) {
          const entry = { bytes, granted: false, giveBack: () => {} };
          entry.giveBack = budget.reserve(bytes, () => {
            entry.granted = true;
          });
          open.push(entry);
          check();
          if (release % 3 > 0) open.splice(release % open.length, 1)[0]?.giveBack();
          check();
        }
        for (const { giveBack } of open.splice(0)) giveBack();
        expect(budget.usedBytes).toBe(0);
      }),
    );
  });
});

describe('BodyBudget, while a body waits for room,', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const arrivalOf = (caller: string) => ({
    caller,
    received: 0,
    told: [] as [rate: number, least: number][],
    receivedBytes() {
      return this.received;
    },
    tooSlow(rate: number, least: number) {
      this.told.push([rate, least]);
    },
  });
  /** Takes a minute to come at 1 byte a millisecond. */
  const BYTES = BODY_PACE_MS;
  const waiting: BodyArrival = arrivalOf('other');

  it('sends one away that would not come within its time, just under that rate and not at it', () => {
    const budget = new BodyBudget(2 * BYTES);
    const [under, at] = [arrivalOf('a'), arrivalOf('b')];
    budget.reserve(BYTES, () => {}, under);
    budget.reserve(BYTES, () => {}, at);
    budget.reserve(1, () => {}, waiting);
    under.received = PACE_WINDOW_MS - 5;
    at.received = PACE_WINDOW_MS;
    vi.advanceTimersByTime(PACE_WINDOW_MS);
    expect(under.told).toEqual([[999, 1_000]]);
    expect(at.told).toEqual([]);
  });

  it('sends none away for the same caller, none that is all here, and none when the wait is over', () => {
    const budget = new BodyBudget(3 * BYTES);
    const [own, whole, lucky] = [arrivalOf('other'), arrivalOf('a'), arrivalOf('b')];
    budget.reserve(BYTES, () => {}, own);
    budget.reserve(BYTES, () => {}, whole);
    const giveBack = budget.reserve(BYTES, () => {}, lucky);
    whole.received = BYTES;
    const leave = budget.reserve(1, () => {}, waiting);
    vi.advanceTimersByTime(PACE_WINDOW_MS - 1);
    leave();
    vi.advanceTimersByTime(10 * PACE_WINDOW_MS);
    expect([own.told, whole.told, lucky.told]).toEqual([[], [], []]);
    giveBack();
    budget.reserve(2 * BYTES, () => {}, waiting);
    vi.advanceTimersByTime(10 * PACE_WINDOW_MS);
    expect([own.told, whole.told]).toEqual([[], []]);
  });

  it('sends none away for a caller who waits for its own share alone', () => {
    const budget = new BodyBudget(4 * BYTES);
    const slow = arrivalOf('slow');
    budget.reserve(BYTES, () => {}, slow);
    for (let body = 0; body < 3; body += 1) budget.reserve(BYTES, () => {}, waiting);
    expect(budget.usedBytes).toBe(2 * BYTES);
    vi.advanceTimersByTime(10 * PACE_WINDOW_MS);
    expect(slow.told).toEqual([]);
  });

  it('lets those in who waited when a body is sent away, and holds the others to their pace on', () => {
    const budget = new BodyBudget(BYTES);
    const grant = vi.fn();
    const [first, second] = [arrivalOf('a'), arrivalOf('b')];
    const giveBack = budget.reserve(BYTES, () => {}, { ...first, tooSlow: () => giveBack() });
    budget.reserve(BYTES, grant, second);
    budget.reserve(1, () => {}, waiting);
    vi.advanceTimersByTime(PACE_WINDOW_MS);
    expect(grant).toHaveBeenCalledOnce();
    expect(second.told).toEqual([]);
    vi.advanceTimersByTime(PACE_WINDOW_MS);
    expect(second.told).toEqual([[0, 1_000]]);
  });
});
