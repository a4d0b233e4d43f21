import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EVENT, Timeline } from '../../../../../src/sim/scaling/timeline.ts';

describe('Timeline', () => {
  it('gives events in the order of their moments, those of one moment in the order they were asked for', () => {
    const moments = fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 3_000 });
    fc.assert(
      fc.property(moments, (found) => {
        const timeline = new Timeline();
        for (const [index, atMs] of found.entries()) timeline.at(atMs, EVENT.reach, index);
        const order: number[] = [];
        while (timeline.next(100)) order.push(timeline.argument);
        const expected = found
          .map((atMs, index) => ({ atMs, index }))
          .sort((a, b) => a.atMs - b.atMs || a.index - b.index)
          .map(({ index }) => index);
        expect(order).toEqual(expected);
        expect(timeline.count).toBe(found.length);
      }),
      { numRuns: 50 },
    );
  });

  it('keeps what it was told of an event, up to large arguments', () => {
    const timeline = new Timeline();
    timeline.at(5, EVENT.noticed, 2 ** 40);
    expect(timeline.next(5)).toBe(true);
    expect(timeline).toMatchObject({ nowMs: 5, kind: EVENT.noticed, argument: 2 ** 40 });
  });

  it('goes no further than it is told, and has nothing happen in the past', () => {
    const timeline = new Timeline();
    timeline.at(10, EVENT.tick, 1);
    expect(timeline.next(9.9)).toBe(false);
    expect(timeline.next(10)).toBe(true);
    timeline.at(3, EVENT.tick, 2);
    expect(timeline.next(10)).toBe(true);
    expect(timeline).toMatchObject({ nowMs: 10, argument: 2 });
    expect(timeline.next(1e9)).toBe(false);
  });
});
