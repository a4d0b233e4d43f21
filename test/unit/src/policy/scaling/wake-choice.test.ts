import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NodeId, VersionCid } from '../../../../../protocols/types.ts';
import { rankForWake, type WakeCandidate } from '../../../../../src/policy/scaling/wake-choice.ts';

const cid = 'cold' as VersionCid;

function candidate(name: string, fields: Partial<WakeCandidate> = {}): WakeCandidate {
  return { node: name as NodeId, state: undefined, etaMs: null, room: true, ...fields };
}

function order(...candidates: readonly WakeCandidate[]): string[] {
  return rankForWake(candidates, cid).map(({ node }) => node);
}

describe('rankForWake', () => {
  it('asks who loads it already, then who has the weights, then who has room to fetch them', () => {
    const found = order(
      candidate('no room', { room: false }),
      candidate('room'),
      candidate('weights, no room', { state: 'cold', room: false }),
      candidate('weights', { state: 'cold' }),
      candidate('loads', { state: 'loading' }),
    );
    expect(found).toEqual(['loads', 'weights', 'weights, no room', 'room', 'no room']);
  });

  it('prefers who is twice as soon, and nobody for less', () => {
    const [soon, late] = [
      candidate('soon', { state: 'cold', etaMs: 900 }),
      candidate('late', { state: 'cold', etaMs: 4_000 }),
    ];
    expect(order(late, soon)).toEqual(['soon', 'late']);
    const equal = [candidate('a', { etaMs: 1_030 }), candidate('b', { etaMs: 1_990 })];
    const swapped = [candidate('a', { etaMs: 1_990 }), candidate('b', { etaMs: 1_030 })];
    expect(order(...equal)).toEqual(order(...swapped));
  });

  it('never asks one that failed with it', () => {
    expect(order(candidate('broken', { state: 'quarantined' }))).toEqual([]);
  });

  it('gives all callers the same order, whatever the order of what they know', () => {
    const any = fc.record({
      state: fc.constantFrom('cold', 'loading', undefined),
      etaMs: fc.option(fc.integer({ min: 0, max: 60_000 })),
      room: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(any, { maxLength: 12 }), (fields) => {
        const candidates = fields.map((field, index) => candidate(`n${index}`, field));
        expect(order(...candidates.toReversed())).toEqual(order(...candidates));
      }),
    );
  });
});
