import { describe, expect, it } from 'vitest';
import { bestKnown, coolingMs, estimateCompletion } from '../../../../src/policy/routing.ts';
import { candidateOf, loadOf } from '../../../support/candidates.ts';

const fallback = { serviceMs: 99, roundTripMs: 99 };

describe('estimateCompletion', () => {
  it('adds round trip, transfer, queue and service', () => {
    const busy = candidateOf('a', { load: loadOf(10, 2), waiting: 5, bytesPerMs: 1000 });
    // 1 ms round trip, 5 ms for 5 000 bytes, 2 half done and 3 waiting over 2 slots, and its own 10 ms.
    expect(estimateCompletion(busy, 5_000, fallback)).toEqual({
      pathMs: 1 + 5,
      queueMs: 2 * 10,
      serviceMs: 10,
      totalMs: 1 + 5 + 2 * 10 + 10,
    });
  });

  it('goes by what this size was seen to take, with others ahead of it as the node says', () => {
    const large = candidateOf('a', { load: loadOf(10), serviceMs: 80, waiting: 1 });
    expect(estimateCompletion(large, 0, fallback)).toMatchObject({ queueMs: 5, serviceMs: 80 });
  });

  it('counts failures as slowness', () => {
    const failed = candidateOf('a', { penaltyMs: 1_000 });
    expect(estimateCompletion(failed, 0, fallback).totalMs).toBe(1_011);
  });

  it('takes what was not measured for as good as the best known', () => {
    const unknown = candidateOf('a', { load: loadOf(null), roundTripMs: null });
    const others = [candidateOf('b', { load: loadOf(7), roundTripMs: 30 }), candidateOf('c')];
    const { pathMs, serviceMs } = estimateCompletion(unknown, 0, bestKnown([...others, unknown]));
    expect([pathMs, serviceMs]).toEqual([1, 7]);
  });

  it('counts what a node has before it though it could take more at once', () => {
    const wide = candidateOf('a', { load: loadOf(10, 8), waiting: 4 });
    expect(estimateCompletion(wide, 0, fallback).queueMs).toBe(2.5);
  });
});

describe('coolingMs', () => {
  it('doubles from 15 s to 5 min', () => {
    expect([1, 2, 3, 5, 6, 60].map(coolingMs)).toEqual([
      15_000, 30_000, 60_000, 240_000, 300_000, 300_000,
    ]);
  });
});
