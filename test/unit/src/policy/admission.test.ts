import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ASSUMED_EXECUTION_MS,
  decideAdmission,
  describeRefusal,
  estimateWaitMs,
  MAX_RETRY_AFTER_MS,
  MIN_RETRY_AFTER_MS,
  type QueueView,
  type QueueWork,
  retryAfterMs,
} from '../../../../src/policy/admission.ts';

function queue(over: Partial<QueueView> = {}): QueueView {
  const room = { queued: 0, maxQueued: 4, queuedBytes: 0, maxQueuedBytes: 1_000 };
  return { ...room, callerQueued: 0, callerBytes: 0, waitMs: 0, serviceMs: 100, ...over };
}

const asked = (deadlineMs: number, bytes = 0) => ({ deadlineMs, bytes });

function work(over: Partial<QueueWork> = {}): QueueWork {
  return { runs: [], parallel: 1, queuedMs: 0, ...over };
}

const views = fc.record({
  queued: fc.nat(50),
  maxQueued: fc.integer({ min: 1, max: 50 }),
  queuedBytes: fc.nat(1_000),
  maxQueuedBytes: fc.integer({ min: 1, max: 1_000 }),
  callerQueued: fc.constant(0),
  callerBytes: fc.constant(0),
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
    expect(decideAdmission(queue({ queued: 3, waitMs: 400 }), asked(60_000))).toEqual({
      admitted: true,
    });
    expect(decideAdmission(queue({ queued: 4, waitMs: 500 }), asked(60_000))).toEqual({
      admitted: false,
      reason: 'full',
      waitMs: 500,
      retryAfterMs: 250,
    });
  });

  it('admits whom wait and execution just leave in time, and not one millisecond later', () => {
    const busy = queue({ queued: 2, waitMs: 300 });
    expect(decideAdmission(busy, asked(400))).toEqual({ admitted: true });
    expect(decideAdmission(busy, asked(399))).toMatchObject({
      admitted: false,
      reason: 'late',
      waitMs: 300,
    });
  });

  it('admits up to the last byte that may wait, and refuses one more', () => {
    const filled = queue({ queued: 1, queuedBytes: 900 });
    expect(decideAdmission(filled, asked(60_000, 100))).toEqual({ admitted: true });
    expect(decideAdmission(filled, asked(60_000, 101))).toMatchObject({ reason: 'heavy' });
  });

  it('admits one that is larger than all that may wait, while none waits', () => {
    expect(decideAdmission(queue(), asked(60_000, 5_000))).toEqual({ admitted: true });
  });

  it('keeps a caller to three times the places and bytes that it leaves free', () => {
    const places = { maxQueued: 40, maxQueuedBytes: 1_000_000 };
    const has = (callerQueued: number, queued: number) =>
      decideAdmission(queue({ ...places, callerQueued, queued }), asked(60_000));
    expect(has(29, 29)).toEqual({ admitted: true });
    expect(has(30, 30)).toMatchObject({ admitted: false, reason: 'share' });
    expect(has(16, 34)).toEqual({ admitted: true });
    expect(has(0, 39)).toEqual({ admitted: true });
    const holds = (callerBytes: number, bytes: number) =>
      decideAdmission(
        queue({ callerBytes, queuedBytes: callerBytes, queued: 1 }),
        asked(60_000, bytes),
      );
    expect(holds(700, 50)).toEqual({ admitted: true });
    expect(holds(700, 51)).toMatchObject({ admitted: false, reason: 'share' });
    expect(decideAdmission(queue({ queuedBytes: 750, queued: 1 }), asked(60_000, 250))).toEqual({
      admitted: true,
    });
  });

  it('admits who need not wait whatever the deadline: a measurement is needed to do better', () => {
    expect(decideAdmission(queue({ serviceMs: 60_000 }), asked(1))).toEqual({
      admitted: true,
    });
  });

  it('never admits beyond the queue, and always says when to come back', () => {
    fc.assert(
      fc.property(views, fc.nat(700_000), fc.nat(2_000), (view, deadlineMs, bytes) => {
        const { queued, maxQueued, queuedBytes, maxQueuedBytes, waitMs, serviceMs } = view;
        const decision = decideAdmission(view, asked(deadlineMs, bytes));
        const inTime = waitMs === 0 || waitMs + (serviceMs ?? 0) <= deadlineMs;
        const fits = queuedBytes === 0 || queuedBytes + bytes <= maxQueuedBytes;
        expect(decision.admitted).toBe(queued < maxQueued && fits && inTime);
        const comeBackMs = decision.admitted ? MIN_RETRY_AFTER_MS : decision.retryAfterMs;
        expect(comeBackMs).toBeGreaterThanOrEqual(MIN_RETRY_AFTER_MS);
        expect(comeBackMs).toBeLessThanOrEqual(MAX_RETRY_AFTER_MS);
        expect(Number.isInteger(comeBackMs)).toBe(true);
      }),
    );
  });
});

describe('describeRefusal', () => {
  const own = { callerQueued: 3, callerBytes: 800 };
  const filled = queue({ queued: 4, queuedBytes: 900, waitMs: 250.4, ...own });
  it.each([
    [
      'full',
      'queue holds 4 requests, some 250 ms of work, expected fewer than 4',
      { queued: 4, maxQueued: 4, waitMs: 250 },
    ],
    [
      'heavy',
      'queue holds 900 bytes of inputs, some 250 ms of work, expected at most 1000 with the 101 of this request',
      { queued: 4, queuedBytes: 900, maxQueuedBytes: 1_000, bytes: 101, waitMs: 250 },
    ],
    [
      'share',
      'caller has 3 requests with 800 bytes waiting, expected at most 3 times what is free: 0 places and 100 bytes',
      { queued: 4, queuedBytes: 900, callerQueued: 3, callerBytes: 800, waitMs: 250 },
    ],
    [
      'late',
      'wait and execution would be 350 ms, expected at most the deadline of 300 ms',
      { queued: 4, waitMs: 250, deadlineMs: 300 },
    ],
  ] as const)('says in words and numbers why: %s', (reason, message, details) => {
    expect(describeRefusal(filled, asked(300, 101), reason)).toEqual({ message, details });
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
