import { describe, expect, it } from 'vitest';
import {
  failedShare,
  recoveryMs,
  refusedShare,
} from '../../../../../src/sim/scaling/outcome-figures.ts';
import type { SecondFigures } from '../../../../../src/sim/scaling/swarm-record.ts';

function second(index: number, figures: Partial<SecondFigures>): SecondFigures {
  return {
    ...{ atMs: (index + 1) * 1_000, p99Ms: 1, p50Ms: 1, offered: 1, answered: 1, refused: 0 },
    ...{ failed: 0, ready: 1, loading: 0, desired: 1 },
    ...figures,
  };
}

describe('recoveryMs', () => {
  it('is the time until a latency is within the objective for good, not for a moment', () => {
    const latencies = [50, 500, 900, 80, 900, 90, 80, 70];
    const seconds = latencies.map((p99Ms, index) => second(index, { p99Ms }));
    expect(recoveryMs({ seconds }, 1_000, 100)).toBe(4_000);
    expect(recoveryMs({ seconds }, 1_000, 60)).toBeNull();
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
