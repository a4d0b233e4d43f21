import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type {
  LoadedModel,
  ModelState,
  RunOptions,
  RunResult,
} from '../../../../node/backend/backend.ts';
import { VersionQueue } from '../../../../node/scheduler/version-queue.ts';
import { ExecutionError, InvalidInputError } from '../../../../protocols/errors.ts';
import type { NamedTensor } from '../../../../protocols/tensor.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A run that a test ends when it likes. */
interface HeldRun {
  readonly inputs: readonly NamedTensor[];
  readonly options: RunOptions;
  readonly resolve: (result: RunResult) => void;
  readonly reject: (reason: unknown) => void;
}

/** A model whose runs a test holds in its hand. */
class HeldModel implements LoadedModel {
  readonly inputs = [];
  readonly outputs = [];
  readonly provider = 'cpu';
  readonly memoryBytes = null;
  state: ModelState = 'ready';
  readonly runs: HeldRun[] = [];
  #listener: (state: ModelState, reason: string) => void = () => {};

  onStateChange(callback: (state: ModelState, reason: string) => void): void {
    this.#listener = callback;
  }

  run(inputs: readonly NamedTensor[], options: RunOptions): Promise<RunResult> {
    return new Promise((resolve, reject) => {
      this.runs.push({ inputs, options, resolve, reject });
    });
  }

  async unload(): Promise<void> {
    this.become('unloaded');
  }

  become(state: ModelState): void {
    this.state = state;
    this.#listener(state, 'test');
  }

  /** Ends the run under way. */
  async answer(executeMs = 1): Promise<void> {
    this.runs.at(-1)?.resolve({ outputs: [], executeMs });
    await vi.advanceTimersByTimeAsync(0);
  }
}

function prepare(init: Partial<{ maxQueued: number; executionLimitMs: number }> = {}) {
  const model = new HeldModel();
  const queue = new VersionQueue(model, { maxQueued: 2, executionLimitMs: 10_000, ...init });
  return { model, queue };
}

/** What a promise rejects with; undefined when it does not. */
const failure = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

const inMs = (ms: number) => performance.now() + ms;

describe('VersionQueue', () => {
  test('runs one request after another and says where the time went', async () => {
    const { model, queue } = prepare();
    const first = queue.submit([]);
    const second = queue.submit([]);
    expect(model.runs).toHaveLength(1);
    expect(queue.load()).toMatchObject({ inFlight: 1, queued: 1, slots: 1, serviceMs: null });
    await vi.advanceTimersByTimeAsync(40);
    await model.answer(39);
    await expect(first).resolves.toEqual({ outputs: [], executeMs: 39, queueMs: 0 });
    expect(model.runs).toHaveLength(2);
    await model.answer();
    await expect(second).resolves.toMatchObject({ queueMs: 40 });
    expect(queue.load()).toMatchObject({ inFlight: 0, queued: 0 });
    expect(queue.load().serviceMs).toBeCloseTo(37.5);
  });

  test('runs the higher priority first', async () => {
    const { model, queue } = prepare();
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
    const { queue } = prepare({ maxQueued: 2 });
    void queue.submit([]);
    void queue.submit([]);
    expect(() => queue.admit(1_000)).not.toThrow();
    void queue.submit([]);
    expect(() => queue.admit(1_000)).toThrow(
      expect.objectContaining({ code: 'ERR_BUSY', retryAfterMs: expect.any(Number) }),
    );
    await expect(queue.submit([])).rejects.toMatchObject({
      code: 'ERR_BUSY',
      message: 'queue holds 2 requests, expected fewer than 2',
    });
  });

  test('refuses a request whose turn would come after its deadline', async () => {
    const { model, queue } = prepare({ maxQueued: 10 });
    void queue.submit([]);
    await vi.advanceTimersByTimeAsync(100);
    await model.answer();
    void queue.submit([]);
    void queue.submit([]);
    expect(() => queue.admit(200)).not.toThrow();
    expect(() => queue.admit(199)).toThrow(
      'wait would be 200 ms, expected at most the deadline of 199 ms',
    );
  });

  test('a deadline that passes while a request waits is in phase queue, and it is never run', async () => {
    const { model, queue } = prepare();
    void queue.submit([]);
    const waiting = failure(queue.submit([], { deadlineAtMs: inMs(50) }));
    await vi.advanceTimersByTimeAsync(51);
    expect(await waiting).toMatchObject({ code: 'ERR_DEADLINE', phase: 'queue' });
    await model.answer();
    expect(model.runs).toHaveLength(1);
  });

  test('a deadline that passes while the model runs abandons the result, and the next waits for the end', async () => {
    const { model, queue } = prepare();
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
    const { model, queue } = prepare();
    await expect(queue.submit([], { deadlineAtMs: inMs(0) })).rejects.toMatchObject({
      code: 'ERR_DEADLINE',
    });
    expect(model.runs).toHaveLength(0);
  });

  test('an aborted signal takes a waiting request out and abandons a running one', async () => {
    const { model, queue } = prepare();
    const abort = new AbortController();
    const both = [1, 2].map(async () => queue.submit([], { signal: abort.signal }));
    const reason = new Error('enough');
    abort.abort(reason);
    for (const request of both) await expect(request).rejects.toBe(reason);
    expect(queue.load()).toMatchObject({ inFlight: 1, queued: 0 });
    // The model never hears of it: a caller cannot stop a process that others share.
    expect(model.runs[0]?.options.signal).toBeUndefined();
    await expect(queue.submit([], { signal: abort.signal })).rejects.toBe(reason);
  });

  test('an error of the model is the request’s, and the next runs', async () => {
    const { model, queue } = prepare();
    const failing = queue.submit([]);
    const strange = queue.submit([]);
    model.runs[0]?.reject(new InvalidInputError('wrong'));
    await expect(failing).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT', message: 'wrong' });
    model.runs[1]?.reject(new TypeError('a bug'));
    await expect(strange).rejects.toMatchObject({ code: 'ERR_EXECUTION', message: 'model failed' });
    expect(queue.load()).toMatchObject({ inFlight: 0, serviceMs: null });
  });

  test('the limit is the configured one until enough were measured, then ten times the p99', async () => {
    const { model, queue } = prepare({ executionLimitMs: 60_000 });
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
    const { model, queue } = prepare();
    const stopped = queue.submit([]);
    model.runs[0]?.reject(new ExecutionError('stopped', { details: { limitMs: 10_000 } }));
    await expect(stopped).rejects.toThrow('stopped');
    expect(queue.load().serviceMs).toBe(10_000);
  });

  test('requests wait while the model restarts and run when it is back', async () => {
    const { model, queue } = prepare();
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
      const { model, queue } = prepare();
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
    const { model, queue } = prepare();
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
