import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NodeId, VersionCid } from '../../../../../protocols/types.ts';
import { rankForWake, type WakeCandidate } from '../../../../../src/policy/scaling/wake-choice.ts';

const cid = 'cold' as VersionCid;

function candidate(name: string, fields: Partial<WakeCandidate> = {}): WakeCandidate {
  return { node: name as NodeId, etaMs: null, ...fields };
}

function order(...candidates: readonly WakeCandidate[]): string[] {
  return rankForWake(candidates, cid).map(({ node }) => node);
}

describe('rankForWake', () => {
  it('prefers who is twice as soon, and nobody for less', () => {
    const [soon, late] = [candidate('soon', { etaMs: 900 }), candidate('late', { etaMs: 4_000 })];
    expect(order(late, soon)).toEqual(['soon', 'late']);
    const equal = [candidate('a', { etaMs: 1_030 }), candidate('b', { etaMs: 1_990 })];
    const swapped = [candidate('a', { etaMs: 1_990 }), candidate('b', { etaMs: 1_030 })];
    expect(order(...equal)).toEqual(order(...swapped));
  });

  it('asks who says nothing of when it would serve after all others', () => {
    expect(order(candidate('silent'), candidate('late', { etaMs: 600_000 }))).toEqual([
      'late',
      'silent',
    ]);
  });

  it('gives all callers the same order, whatever the order of what they know', () => {
    const any = fc.record({
      etaMs: fc.option(fc.integer({ min: 0, max: 60_000 })),
    });
    fc.assert(
      fc.property(fc.array(any, { maxLength: 12 }), (fields) => {
        const candidates = fields.map((field, index) => candidate(`n${index}`, field));
        expect(order(...candidates.toReversed())).toEqual(order(...candidates));
      }),
    );
  });
});
