import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ASSUMED_EXECUTION_MS,
  decideAdmission,
  estimateWaitMs,
  MAX_RETRY_AFTER_MS,
  MIN_RETRY_AFTER_MS,
  type QueueView,
  retryAfterMs,
} from '../../../../src/policy/admission.ts';

function queue(over: Partial<QueueView> = {}): QueueView {
  return {
    queued: 0,
    maxQueued: 4,
    inFlight: 0,
    slots: 1,
    serviceMs: 100,
    runningMs: 0,
    ...over,
  };
}

const views = fc.record({
  queued: fc.nat(50),
  maxQueued: fc.integer({ min: 1, max: 50 }),
  inFlight: fc.nat(4),
  slots: fc.constant(4),
  serviceMs: fc.option(fc.double({ min: 0.01, max: 60_000, noNaN: true })),
  runningMs: fc.double({ min: 0, max: 60_000, noNaN: true }),
});

describe('estimateWaitMs', () => {
  it.each<[what: string, view: Partial<QueueView>, waitMs: number]>([
    ['nothing while a slot is free', { slots: 2, inFlight: 1 }, 0],
    ['the rest of what runs', { inFlight: 1, runningMs: 30 }, 70],
    ['nothing for what should have ended', { inFlight: 1, runningMs: 500 }, 0],
    ['the queue before it as well', { inFlight: 1, runningMs: 30, queued: 2 }, 270],
    ['a queue shared by two slots', { inFlight: 2, slots: 2, queued: 3 }, 250],
    ['nothing that was never measured', { inFlight: 1, queued: 3, serviceMs: null }, 0],
  ])('counts %s', (_what, view, waitMs) => {
    expect(estimateWaitMs(queue(view))).toBe(waitMs);
  });
});

describe('decideAdmission', () => {
  it('admits to the last place in the queue and refuses the one after', () => {
    expect(decideAdmission(queue({ inFlight: 1, queued: 3 }), 60_000)).toEqual({ admitted: true });
    expect(decideAdmission(queue({ inFlight: 1, queued: 4 }), 60_000)).toEqual({
      admitted: false,
      reason: 'full',
      waitMs: 500,
      retryAfterMs: 200,
    });
  });

  it('admits whom the wait just leaves time to begin, and not one millisecond later', () => {
    const busy = queue({ inFlight: 1, queued: 2 });
    expect(decideAdmission(busy, 300)).toEqual({ admitted: true });
    expect(decideAdmission(busy, 299)).toMatchObject({
      admitted: false,
      reason: 'late',
      waitMs: 300,
    });
  });

  it('admits to an idle node whatever the deadline: a measurement is needed to do better', () => {
    expect(decideAdmission(queue({ serviceMs: 60_000 }), 1)).toEqual({ admitted: true });
  });

  it('never admits beyond the queue, and always says when to come back', () => {
    fc.assert(
      fc.property(views, fc.nat(100_000), (view, deadlineMs) => {
        const decision = decideAdmission(view, deadlineMs);
        const fits = view.queued < view.maxQueued && estimateWaitMs(view) <= deadlineMs;
        expect(decision.admitted).toBe(fits);
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
    expect(retryAfterMs(queue({ queued: 8, slots: 2 }))).toBe(200);
    expect(retryAfterMs(queue({ queued: 0, serviceMs: 0.1 }))).toBe(MIN_RETRY_AFTER_MS);
    expect(retryAfterMs(queue({ queued: 1_000_000 }))).toBe(MAX_RETRY_AFTER_MS);
    expect(retryAfterMs(queue({ queued: 4, serviceMs: null }))).toBe(2 * ASSUMED_EXECUTION_MS);
  });
});
