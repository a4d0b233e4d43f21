import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ASSUMED_EXECUTION_MS,
  decideAdmission,
  estimateWaitMs,
  MAX_RETRY_AFTER_MS,
  MIN_RETRY_AFTER_MS,
  type QueueView,
  type QueueWork,
  retryAfterMs,
} from '../../../../src/policy/admission.ts';

function queue(over: Partial<QueueView> = {}): QueueView {
  return { queued: 0, maxQueued: 4, waitMs: 0, serviceMs: 100, ...over };
}

function work(over: Partial<QueueWork> = {}): QueueWork {
  return { runs: [], parallel: 1, queuedMs: 0, ...over };
}

const views = fc.record({
  queued: fc.nat(50),
  maxQueued: fc.integer({ min: 1, max: 50 }),
  waitMs: fc.double({ min: 0, max: 600_000, noNaN: true }),
  serviceMs: fc.option(fc.double({ min: 0.01, max: 60_000, noNaN: true })),
});

describe('estimateWaitMs', () => {
  it.each<[what: string, over: Partial<QueueWork>, waitMs: number]>([
    ['nothing while nothing runs or waits', {}, 0],
    ['the rest of what runs', { runs: [{ expectedMs: 100, runningMs: 30 }] }, 70],
    ['nothing for what should have ended', { runs: [{ expectedMs: 100, runningMs: 500 }] }, 0],
    ['what waits as well', { runs: [{ expectedMs: 100, runningMs: 30 }], queuedMs: 200 }, 270],
    [
      'what lies ready behind another',
      { runs: [70, 0].map((runningMs) => ({ expectedMs: 100, runningMs })) },
      130,
    ],
    [
      'what several at once get done in the same time',
      { runs: [50, 70].map((runningMs) => ({ expectedMs: 100, runningMs })), parallel: 2 },
      40,
    ],
    [
      'nothing while a place is free',
      { runs: [{ expectedMs: 100, runningMs: 0 }], parallel: 2 },
      0,
    ],
    [
      'nothing that was never measured',
      { runs: [{ expectedMs: null, runningMs: 30 }], queuedMs: null },
      0,
    ],
  ])('counts %s', (_what, over, waitMs) => {
    expect(estimateWaitMs(work(over))).toBe(waitMs);
  });
});

describe('decideAdmission', () => {
  it('admits to the last place in the queue and refuses the one after', () => {
    expect(decideAdmission(queue({ queued: 3, waitMs: 400 }), 60_000)).toEqual({ admitted: true });
    expect(decideAdmission(queue({ queued: 4, waitMs: 500 }), 60_000)).toEqual({
      admitted: false,
      reason: 'full',
      waitMs: 500,
      retryAfterMs: 250,
    });
  });

  it('admits whom wait and execution just leave in time, and not one millisecond later', () => {
    const busy = queue({ queued: 2, waitMs: 300 });
    expect(decideAdmission(busy, 400)).toEqual({ admitted: true });
    expect(decideAdmission(busy, 399)).toMatchObject({
      admitted: false,
      reason: 'late',
      waitMs: 300,
    });
  });

  it('admits who need not wait whatever the deadline: a measurement is needed to do better', () => {
    expect(decideAdmission(queue({ serviceMs: 60_000 }), 1)).toEqual({ admitted: true });
  });

  it('never admits beyond the queue, and always says when to come back', () => {
    fc.assert(
      fc.property(views, fc.nat(700_000), (view, deadlineMs) => {
        const { queued, maxQueued, waitMs, serviceMs } = view;
        const decision = decideAdmission(view, deadlineMs);
        const inTime = waitMs === 0 || waitMs + (serviceMs ?? 0) <= deadlineMs;
        expect(decision.admitted).toBe(queued < maxQueued && inTime);
        const comeBackMs = decision.admitted ? MIN_RETRY_AFTER_MS : decision.retryAfterMs;
        expect(comeBackMs).toBeGreaterThanOrEqual(MIN_RETRY_AFTER_MS);
        expect(comeBackMs).toBeLessThanOrEqual(MAX_RETRY_AFTER_MS);
        expect(Number.isInteger(comeBackMs)).toBe(true);
      }),
    );
  });
});

describe('retryAfterMs', () => {
  it('is the time in which half of what waits should be done, within its bounds', () => {
    expect(retryAfterMs(queue({ queued: 8, waitMs: 400 }))).toBe(200);
    expect(retryAfterMs(queue({ serviceMs: 0.1 }))).toBe(MIN_RETRY_AFTER_MS);
    expect(retryAfterMs(queue({ waitMs: 1_000_000 }))).toBe(MAX_RETRY_AFTER_MS);
    expect(retryAfterMs(queue({ queued: 4, serviceMs: null }))).toBe(2 * ASSUMED_EXECUTION_MS);
  });
});
