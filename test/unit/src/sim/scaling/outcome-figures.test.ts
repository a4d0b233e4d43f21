import { describe, expect, it } from 'vitest';
import {
  failedShare,
  oscillations,
  recoveryMs,
  refusedShare,
} from '../../../../../src/sim/scaling/outcome-figures.ts';
import type { SwarmOutcome } from '../../../../../src/sim/scaling/simulate-swarm.ts';
import type { SecondFigures } from '../../../../../src/sim/scaling/swarm-record.ts';

function second(index: number, figures: Partial<SecondFigures>): SecondFigures {
  return {
    ...{ atMs: (index + 1) * 1_000, p99Ms: 1, p50Ms: 1, offered: 1, answered: 1, refused: 0 },
    ...{ failed: 0, ready: 1, loading: 0, desired: 1 },
    ...figures,
  };
}

describe('recoveryMs', () => {
  const recoveryOf = (latencies: readonly number[], objectiveMs = 100) => {
    const seconds = latencies.map((p99Ms, index) => second(index, { p99Ms }));
    return recoveryMs({ seconds }, 1_000, objectiveMs);
  };

  it.each([
    ['from the last that was not', [50, 500, 900, 80, 900, 90, 80, 70], 4_000],
    ['past a relapse', [50, 500, 80, 80, 80, 900, 80, 80, 80], 5_000],
    ['of no crowd', [50, 80, 80, 80], 0],
    ['never, in fewer than three seconds', [50, 500, 900, 80, 90], null],
    ['never, after a relapse at the end', [50, 500, 80, 80, 80, 900], null],
  ])('is when a latency is within the objective for good: %s', (_, latencies, expected) => {
    expect(recoveryOf(latencies)).toBe(expected);
  });

  it('takes the objective itself as met, and a second that nobody asked in for neither', () => {
    expect(recoveryOf([50, 500, 100, 100, 100])).toBe(1_000);
    expect(recoveryOf([50, 500, 100, 100, 101])).toBeNull();
    const seconds = [500, 80, 0, 80, 80].map((p99Ms, index) =>
      second(index, { p99Ms, offered: p99Ms === 0 ? 0 : 1 }),
    );
    expect(recoveryMs({ seconds }, 0, 100)).toBe(1_000);
  });
});

describe('failedShare and refusedShare', () => {
  it('are of the requests of all records in the seconds that count', () => {
    const seconds = [
      second(0, { offered: 10, refused: 40, failed: 10 }),
      second(1, { offered: 10, refused: 3, failed: 1 }),
    ];
    const records = [{ seconds }, { seconds: [second(1, { offered: 10 })] }];
    const later = ({ atMs }: SecondFigures) => atMs > 1_000;
    expect([failedShare(records, later), refusedShare(records, later)]).toEqual([0.05, 0.15]);
    expect(refusedShare(records)).toBeCloseTo(43 / 30);
    expect([failedShare([]), refusedShare([])]).toEqual([0, 0]);
  });
});

describe('oscillations', () => {
  type Action = SwarmOutcome['actions'][number]['action'];
  const cid = 'a' as Action['cid'];
  const other = 'b' as Action['cid'];
  const reason = '';
  const claim: Action = { kind: 'claim', cid, reason };
  const leave: Action = { kind: 'leave', cid, reason };
  const moveTo: Action = { kind: 'move', cid, from: other, reason };
  const moveFrom: Action = { kind: 'move', cid: other, from: cid, reason };

  it.each<[string, [Action, Action], number, number]>([
    ['a claim and then a leave', [claim, leave], 999, 1],
    ['a leave and then a claim', [leave, claim], 999, 1],
    ['two claims', [claim, claim], 1, 0],
    ['a leave after the time', [claim, leave], 1_000, 0],
    ['a prefetch and then a leave', [{ kind: 'prefetch', cid, reason }, leave], 1, 0],
    ['a claim, and then a move to another', [claim, moveFrom], 1, 1],
    ['a move to it, and then a leave', [moveTo, leave], 1, 1],
    ['a claim, and then a move to it', [claim, moveTo], 1, 0],
    ['a move there and back, of both', [moveTo, moveFrom], 1, 2],
  ])('counts versions that were scaled one way and back: %s', (_, actions, afterMs, expected) => {
    const timed = actions.map((action, index) => ({ atMs: index * afterMs, node: index, action }));
    expect(oscillations({ actions: timed }, 1_000)).toBe(expected);
  });
});
