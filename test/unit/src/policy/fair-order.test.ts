import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FairOrder, type Turn } from '../../../../src/policy/fair-order.ts';

const turn = (caller: string, cost = 1, priority = 0): Turn => ({ caller, cost, priority });

function takeAll(order: FairOrder<Turn>): Turn[] {
  return Array.from({ length: order.length }, () => order.take() as Turn);
}

const callersOf = (turns: readonly Turn[]) => turns.map(({ caller }) => caller).join('');

describe('FairOrder', () => {
  it('gives higher priorities first, whoever waits', () => {
    const order = new FairOrder<Turn>();
    for (const priority of [0, 5, -1, 5, 0]) order.add(turn('a', 1, priority));
    expect(takeAll(order).map(({ priority }) => priority)).toEqual([5, 5, 0, 0, -1]);
    expect(order.take()).toBeUndefined();
  });

  it('gives callers of one priority turns, one by one when they cost the same', () => {
    const order = new FairOrder<Turn>();
    for (const caller of 'aaaabbc') order.add(turn(caller));
    expect(callersOf(takeAll(order))).toBe('abcabaa');
  });

  it('orders those of one caller by its own priorities, and gives it no turn before others for them', () => {
    const order = new FairOrder<Turn & { readonly name: string }>();
    const add = (name: string, caller: string, ownPriority?: number) =>
      order.add({ ...turn(caller), name, ownPriority });
    add('a1', 'a');
    add('b1', 'b');
    add('a2', 'a', 255);
    add('a3', 'a', 255);
    add('b2', 'b', 1);
    const names = Array.from({ length: 4 }, () => order.take()?.name);
    expect(names).toEqual(['a2', 'b2', 'a3', 'b1']);
    expect(order.takeAlong(() => true)?.name).toBe('a1');
    expect(order.length).toBe(0);
  });

  it('takes along the highest of a caller’s own first', () => {
    const order = new FairOrder<Turn>();
    for (const ownPriority of [0, 3, 1]) order.add({ ...turn('a'), ownPriority });
    const along = Array.from({ length: 3 }, () => order.takeAlong(() => true)?.ownPriority);
    expect(along).toEqual([3, 1, 0]);
  });

  it('shares by cost: who asks for dear ones gets fewer', () => {
    const order = new FairOrder<Turn>();
    for (let count = 0; count < 8; count += 1) order.add(turn('a', 1));
    for (let count = 0; count < 8; count += 1) order.add(turn('b', 4));
    const first = takeAll(order).slice(0, 10);
    expect(first.filter(({ caller }) => caller === 'b')).toHaveLength(2);
  });

  it('gives what goes along no place of its own: its caller waits the longer', () => {
    const order = new FairOrder<Turn>();
    for (const caller of 'aabb') order.add(turn(caller));
    expect(order.take()?.caller).toBe('a');
    expect(order.takeAlong(({ caller }) => caller === 'a')?.caller).toBe('a');
    order.add(turn('a'));
    expect(callersOf(takeAll(order))).toBe('bba');
    expect(order.takeAlong(() => true)).toBeUndefined();
  });

  it('serves a caller that owes for far more than its next one costs without counting round by round', () => {
    const order = new FairOrder<Turn>();
    for (const cost of [2 ** 50, 2 ** 50, 1]) order.add(turn('a', cost));
    expect(order.take()?.cost).toBe(2 ** 50);
    expect(order.takeAlong(() => true)?.cost).toBe(2 ** 50);
    expect(order.take()?.cost).toBe(1);
  });

  it('forgets the credit of a caller that has left', () => {
    const order = new FairOrder<Turn>();
    const cheap = turn('a', 1);
    order.add(cheap);
    order.add(turn('b', 10));
    expect(order.remove(cheap)).toBe(true);
    expect(order.remove(cheap)).toBe(false);
    expect(callersOf(takeAll(order))).toBe('b');
  });

  it('loses nobody, and gives no caller more than its share and one of the dearest', () => {
    const turns = fc.array(
      fc.record({
        caller: fc.constantFrom('a', 'b', 'c'),
        cost: fc.integer({ min: 1, max: 20 }),
        priority: fc.constant(0),
      }),
      { minLength: 1, maxLength: 60 },
    );
    fc.assert(
      fc.property(turns, (all) => {
        const order = new FairOrder<Turn>();
        for (const item of all) order.add(item);
        const taken: Turn[] = [];
        const left = new Map<string, number>();
        for (const { caller } of all) left.set(caller, (left.get(caller) ?? 0) + 1);
        const got = new Map<string, number>();
        while (order.length > 0) {
          const item = order.take() as Turn;
          taken.push(item);
          got.set(item.caller, (got.get(item.caller) ?? 0) + item.cost);
          left.set(item.caller, (left.get(item.caller) ?? 0) - 1);
          const contending = [...left].filter(([, count]) => count > 0).map(([caller]) => caller);
          // Among those that had somebody waiting all along, shares differ by a bounded cost.
          if (contending.length === new Set(all.map(({ caller }) => caller)).size) {
            const shares = contending.map((caller) => got.get(caller) ?? 0);
            expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(60);
          }
        }
        expect(taken).toHaveLength(all.length);
        expect(new Set(taken).size).toBe(all.length);
      }),
    );
  });
});
