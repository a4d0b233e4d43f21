import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SYSTEM_CLOCK } from '../../../../node/scheduler/clock.ts';
import { ExecutionError, InvalidInputError } from '../../../../protocols/errors.ts';
import { Cancellation } from '../../../../protocols/inference/index.ts';
import { Tensor } from '../../../../protocols/tensor.ts';
import { failure, heldQueue, inMs } from '../../../support/held-queue.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('VersionQueue', () => {
  test('runs one request after another and says where the time went', async () => {
    const { model, queue } = heldQueue();
    const first = queue.submit([]);
    const second = queue.submit([]);
    expect(model.runs).toHaveLength(1);
    expect(queue.load()).toMatchObject({ inFlight: 1, queued: 1, slots: 1, serviceMs: null });
    await vi.advanceTimersByTimeAsync(40);
    await model.answer(39);
    await expect(first).resolves.toEqual({ outputs: [], executeMs: 39, queueMs: 0, together: 1 });
    expect(model.runs).toHaveLength(2);
    await model.answer();
    await expect(second).resolves.toMatchObject({ queueMs: 40 });
    expect(queue.load()).toMatchObject({ inFlight: 0, queued: 0 });
    expect(queue.load().serviceMs).toBeCloseTo(19.68);
  });

  test('tells those who are about to choose of an execution that takes too long, and only those', async () => {
    const { model, queue } = heldQueue({ timings: [{ elements: 1, ms: 50 }] });
    void queue.submit([{ name: 'x', tensor: Tensor.from('FP32', [1], [1]) }]);
    await vi.advanceTimersByTimeAsync(99);
    expect(queue.momentaryLoad().serviceMs).toBe(50);
    await vi.advanceTimersByTimeAsync(301);
    // As long again, where callers take half an execution to be left.
    expect(queue.momentaryLoad().serviceMs).toBe(2 * 400);
    expect(queue.load().serviceMs).toBe(50);
    await model.answer();
    expect(queue.momentaryLoad()).toEqual(queue.load());
  });

  test('forgets after ten idle seconds what the last runs took, and knows what was measured before', async () => {
    const { model, queue } = heldQueue({ timings: [{ elements: 1, ms: 5 }] });
    const input = [{ name: 'x', tensor: Tensor.from('FP32', [1], [1]) }];
    expect(queue.load().serviceMs).toBe(5);
    void queue.submit(input);
    await vi.advanceTimersByTimeAsync(20);
    await model.answer();
    expect(queue.load().serviceMs).toBeGreaterThan(5);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(queue.load().serviceMs).toBeGreaterThan(5);
    await vi.advanceTimersByTimeAsync(1);
    expect(queue.load().serviceMs).toBe(5);
  });

  test('what came in one turn and may begin takes no place of others', async () => {
    const { model, queue } = heldQueue({ maxQueued: 1, clock: SYSTEM_CLOCK });
    const [first, second, third] = [1, 2, 3].map(() => queue.submit([]));
    await expect(third).rejects.toMatchObject({ code: 'ERR_BUSY' });
    expect(queue.load()).toMatchObject({ inFlight: 1, queued: 1 });
    await model.answer();
    await model.answer();
    await expect(Promise.all([first, second])).resolves.toHaveLength(2);
  });

  test('runs the higher priority first', async () => {
    const { model, queue } = heldQueue();
    void queue.submit([], { outputs: ['running'] });
    void queue.submit([], { outputs: ['low'], priority: 1 });
    void queue.submit([], { outputs: ['high'], priority: 2 });
    await model.answer();
    await model.answer();
    expect(model.runs.map(({ options }) => options.outputs?.[0])).toEqual([
      'running',
      'high',
      'low',
    ]);
  });

  test('admits up to maxQueued besides the one that runs and refuses one more as busy', async () => {
    const { queue } = heldQueue({ maxQueued: 2 });
    void queue.submit([]);
    void queue.submit([]);
    expect(() => queue.admit(1_000)).not.toThrow();
    void queue.submit([]);
    expect(() => queue.admit(1_000)).toThrow(
      expect.objectContaining({ code: 'ERR_BUSY', retryAfterMs: expect.any(Number) }),
    );
    await expect(queue.submit([])).rejects.toMatchObject({
      code: 'ERR_BUSY',
      message: 'queue holds 2 requests, some 0 ms of work, expected fewer than 2',
    });
  });

  test('takes inputs up to its bytes besides those that run, and refuses a byte more as busy', async () => {
    const { model, queue } = heldQueue({ maxQueued: 16, maxQueuedBytes: 1_000 });
    const inputOf = (bytes: number) => [
      { name: 'x', tensor: new Tensor('UINT8', [bytes], new Uint8Array(bytes)) },
    ];
    const running = queue.submit(inputOf(5_000));
    const waiting = queue.submit(inputOf(900));
    expect(() => queue.admit(60_000, 0, 100)).not.toThrow();
    expect(() => queue.admit(60_000, 0, 101)).toThrow(
      expect.objectContaining({
        code: 'ERR_BUSY',
        retryAfterMs: expect.any(Number),
        details: expect.objectContaining({ queuedBytes: 900, maxQueuedBytes: 1_000, bytes: 101 }),
      }),
    );
    // Its header was let in, and others came before its body was here.
    await expect(queue.submit(inputOf(101))).rejects.toMatchObject({ code: 'ERR_BUSY' });
    await model.answer();
    await running;
    expect(() => queue.admit(60_000, 0, 5_000)).not.toThrow();
    await model.answer();
    await waiting;
  });

  test('keeps places for others from a caller that sends all it can', async () => {
    const { queue } = heldQueue({ maxQueued: 16 });
    const sent = Array.from({ length: 20 }, () => failure(queue.submit([], { caller: 'many' })));
    // One runs, and of 16 places it leaves a fourth.
    expect(queue.load()).toMatchObject({ inFlight: 1, queued: 12 });
    expect(await sent[13]).toMatchObject({ code: 'ERR_BUSY', details: { callerQueued: 12 } });
    for (let one = 0; one < 3; one += 1) void queue.submit([], { caller: 'few' });
    expect(queue.load()).toMatchObject({ queued: 15 });
  });

  test('expects one run of a request that has more rows than a batch', async () => {
    const { model, queue } = heldQueue({ maxQueued: 10, timings: [{ elements: 1, ms: 5 }] });
    const many = [{ name: 'x', tensor: new Tensor('UINT8', [100_000], new Uint8Array(100_000)) }];
    void queue.submit(many);
    await vi.advanceTimersByTimeAsync(10);
    await model.answer();
    void queue.submit(many);
    for (let waiting = 0; waiting < 5; waiting += 1) void queue.submit(many);
    expect(() => queue.admit(1_000, 100_000)).not.toThrow();
  });

  test('refuses a request whose turn would come after its deadline', async () => {
    const { model, queue } = heldQueue({ maxQueued: 10 });
    void queue.submit([]);
    await vi.advanceTimersByTimeAsync(100);
    await model.answer();
    void queue.submit([]);
    void queue.submit([]);
    expect(() => queue.admit(300)).not.toThrow();
    expect(() => queue.admit(299)).toThrow(
      'wait and execution would be 300 ms, expected at most the deadline of 299 ms',
    );
  });

  test('a deadline that passes while a request waits is in phase queue, and it is never run', async () => {
    const { model, queue } = heldQueue();
    void queue.submit([]);
    const waiting = failure(queue.submit([], { deadlineAtMs: inMs(50) }));
    await vi.advanceTimersByTimeAsync(51);
    expect(await waiting).toMatchObject({ code: 'ERR_DEADLINE', phase: 'queue' });
    await model.answer();
    expect(model.runs).toHaveLength(1);
  });

  test('a deadline that passes while the model runs abandons the result, and the next waits for the end', async () => {
    const { model, queue } = heldQueue();
    const late = failure(queue.submit([], { deadlineAtMs: inMs(50) }));
    void queue.submit([]);
    await vi.advanceTimersByTimeAsync(51);
    expect(await late).toMatchObject({ code: 'ERR_DEADLINE', phase: 'execute' });
    expect(queue.load().inFlight).toBe(1);
    expect(model.runs).toHaveLength(1);
    await model.answer();
    expect(model.runs).toHaveLength(2);
  });

  test('a deadline that has passed already is refused', async () => {
    const { model, queue } = heldQueue();
    await expect(queue.submit([], { deadlineAtMs: inMs(0) })).rejects.toMatchObject({
      code: 'ERR_DEADLINE',
    });
    expect(model.runs).toHaveLength(0);
  });

  test('a caller who cancels takes a waiting request out and abandons a running one', async () => {
    const { model, queue } = heldQueue();
    const cancellations = [new Cancellation(), new Cancellation()];
    const both = cancellations.map((cancellation) => queue.submit([], { cancellation }));
    const reason = new Error('enough');
    for (const cancellation of cancellations) cancellation.cancel(reason);
    for (const request of both) await expect(request).rejects.toBe(reason);
    expect(queue.load()).toMatchObject({ inFlight: 1, queued: 0 });
    // The model never hears of it: a caller cannot stop a process that others share.
    expect(model.runs[0]?.options.signal).toBeUndefined();
    const [cancellation] = cancellations;
    await expect(queue.submit([], { cancellation })).rejects.toBe(reason);
  });

  test('an error of the model is the request’s, and the next runs', async () => {
    const { model, queue } = heldQueue();
    const failing = queue.submit([]);
    const strange = queue.submit([]);
    model.runs[0]?.reject(new InvalidInputError('wrong'));
    await expect(failing).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT', message: 'wrong' });
    model.runs[1]?.reject(new TypeError('a bug'));
    await expect(strange).rejects.toMatchObject({ code: 'ERR_EXECUTION', message: 'model failed' });
    expect(queue.load()).toMatchObject({ inFlight: 0, serviceMs: null });
  });

  test('the limit is the configured one until enough were measured, then ten times the p99', async () => {
    const { model, queue } = heldQueue({ executionLimitMs: 60_000 });
    for (let count = 0; count < 32; count += 1) {
      expect(queue.limitMs).toBe(60_000);
      void queue.submit([]);
      expect(model.runs.at(-1)?.options.limitMs).toBe(60_000);
      await vi.advanceTimersByTimeAsync(200);
      await model.answer();
    }
    expect(queue.limitMs).toBe(2_000);
  });

  test('an execution that was stopped counts with its limit, so that the limit can grow', async () => {
    const { model, queue } = heldQueue();
    const stopped = queue.submit([]);
    model.runs[0]?.reject(new ExecutionError('stopped', { details: { limitMs: 10_000 } }));
    await expect(stopped).rejects.toThrow('stopped');
    expect(queue.load().serviceMs).toBe(10_000);
  });

  test('requests wait while the model restarts and run when it is back', async () => {
    const { model, queue } = heldQueue();
    model.become('restarting');
    const request = queue.submit([]);
    expect(model.runs).toHaveLength(0);
    model.become('ready');
    expect(model.runs).toHaveLength(1);
    await model.answer();
    await expect(request).resolves.toBeDefined();
  });

  test.each(['failed', 'unloaded'] as const)(
    'requests that wait for a model that is %s are told that this node serves it no longer',
    async (state) => {
      const { model, queue } = heldQueue();
      model.become('restarting');
      const request = queue.submit([]);
      model.become(state);
      await expect(request).rejects.toMatchObject({
        code: 'ERR_NOT_FOUND',
        message: expect.stringContaining(state),
      });
      expect(queue.load()).toMatchObject({ inFlight: 0, queued: 0 });
    },
  );

  test('a draining queue takes no more and is drained when what it took is done', async () => {
    const { model, queue } = heldQueue();
    void queue.submit([]);
    void queue.submit([]);
    let drained = false;
    const drain = queue.drain().then(() => {
      drained = true;
    });
    await expect(queue.submit([])).rejects.toMatchObject({ code: 'ERR_BUSY' });
    await model.answer();
    expect(drained).toBe(false);
    await model.answer();
    await drain;
    await queue.drain();
  });
});
