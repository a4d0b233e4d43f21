import { describe, expect, it } from 'vitest';
import { momentaryLoad } from '../../../../src/policy/momentary-load.ts';
import { bestKnown, estimateCompletion } from '../../../../src/policy/routing.ts';
import { candidateOf } from '../../../support/candidates.ts';

const BUSY = { inFlight: 1, queued: 2, slots: 1, serviceMs: 50 };

const run = (runningMs: number, expectedMs: number | null = 50) => ({ runningMs, expectedMs });

/** What a caller makes of a report: the wait before its own request. */
function waitMs(load: typeof BUSY): number {
  const candidate = candidateOf('a', { load, waiting: load.inFlight + load.queued });
  return estimateCompletion(candidate, 0, bestKnown([candidate])).queueMs;
}

describe('momentaryLoad', () => {
  it('is the load while what executes takes less than twice what was expected', () => {
    for (const runs of [[], [run(99)], [run(400, 250)], [run(0)], [run(900, null)]]) {
      expect(momentaryLoad(BUSY, runs)).toBe(BUSY);
    }
    const unmeasured = { ...BUSY, serviceMs: null };
    expect(momentaryLoad(unmeasured, [run(900)])).toBe(unmeasured);
  });

  it('has a caller wait as long again as a stuck execution took, and for what is queued behind it', () => {
    expect(waitMs(BUSY)).toBe(125);
    const told = momentaryLoad(BUSY, [run(400), run(0)]);
    expect(told).toMatchObject({ inFlight: 1, queued: 2, slots: 1 });
    expect(waitMs({ ...BUSY, serviceMs: told.serviceMs ?? 0 })).toBeCloseTo(400 + 2 * 50);
  });

  it('goes by the execution that may end first', () => {
    const two = { ...BUSY, inFlight: 2, slots: 2 };
    expect(momentaryLoad(two, [run(400), run(10)])).toBe(two);
    const told = momentaryLoad(two, [run(400), run(200)]);
    expect(told.serviceMs).toBeCloseTo(50 + (200 - 25) / 1.5);
  });
});
