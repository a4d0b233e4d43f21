import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type {
  LoadedModel,
  ModelState,
  RunOptions,
  RunResult,
} from '../../../../node/backend/backend.ts';
import { VersionQueue, type VersionQueueInit } from '../../../../node/scheduler/version-queue.ts';
import { ExecutionError, InvalidInputError } from '../../../../protocols/errors.ts';
import { type NamedTensor, Tensor } from '../../../../protocols/tensor.ts';

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

function prepare(init: Partial<VersionQueueInit> = {}) {
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
    await expect(first).resolves.toEqual({ outputs: [], executeMs: 39, queueMs: 0, together: 1 });
    expect(model.runs).toHaveLength(2);
    await model.answer();
    await expect(second).resolves.toMatchObject({ queueMs: 40 });
    expect(queue.load()).toMatchObject({ inFlight: 0, queued: 0 });
    expect(queue.load().serviceMs).toBeCloseTo(19.68);
  });

  test('tells those who are about to choose of an execution that takes too long, and only those', async () => {
    const { model, queue } = prepare({ timings: [{ elements: 1, ms: 50 }] });
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
    const { model, queue } = prepare({ timings: [{ elements: 1, ms: 5 }] });
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
      message: 'queue holds 2 requests, some 0 ms of work, expected fewer than 2',
    });
  });

  test('takes inputs up to its bytes besides those that run, and refuses a byte more as busy', async () => {
    const { model, queue } = prepare({ maxQueued: 16, maxQueuedBytes: 1_000 });
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
    const { queue } = prepare({ maxQueued: 16 });
    const sent = Array.from({ length: 20 }, () => failure(queue.submit([], { caller: 'many' })));
    // One runs, and of 16 places it leaves a fourth.
    expect(queue.load()).toMatchObject({ inFlight: 1, queued: 12 });
    expect(await sent[13]).toMatchObject({ code: 'ERR_BUSY', details: { callerQueued: 12 } });
    for (let one = 0; one < 3; one += 1) void queue.submit([], { caller: 'few' });
    expect(queue.load()).toMatchObject({ queued: 15 });
  });

  test('expects one run of a request that has more rows than a batch', async () => {
    const { model, queue } = prepare({ maxQueued: 10, timings: [{ elements: 1, ms: 5 }] });
    const many = [{ name: 'x', tensor: new Tensor('UINT8', [100_000], new Uint8Array(100_000)) }];
    void queue.submit(many);
    await vi.advanceTimersByTimeAsync(10);
    await model.answer();
    void queue.submit(many);
    for (let waiting = 0; waiting < 5; waiting += 1) void queue.submit(many);
    expect(() => queue.admit(1_000, 100_000)).not.toThrow();
  });

  test('refuses a request whose turn would come after its deadline', async () => {
    const { model, queue } = prepare({ maxQueued: 10 });
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

/** One input of a row for each value. */
const rows = (...values: readonly number[]): NamedTensor[] => [
  { name: 'x', tensor: Tensor.from('FP32', [values.length, 1], values) },
];

const valuesOf = (tensors: readonly NamedTensor[] | undefined) => tensors?.[0]?.tensor.toArray();

describe('VersionQueue with batches', () => {
  const BATCHING = { axis: 0, maxRows: 4, maxDelayMs: 0 };
  const prepareBatches = (over: Partial<typeof BATCHING> = {}) =>
    prepare({ maxQueued: 16, batching: { ...BATCHING, ...over } });

  /** Ends the run under way with its own inputs as outputs. */
  const echo = async (model: HeldModel): Promise<void> => {
    const run = model.runs.at(-1);
    run?.resolve({ outputs: run.inputs, executeMs: 1 });
    await vi.advanceTimersByTimeAsync(0);
  };

  test('what waited runs as one batch, as many rows as fit, and each gets its own rows', async () => {
    const { model, queue } = prepareBatches();
    const answers = [[1], [2], [3, 4], [5], [6]].map((values) => queue.submit(rows(...values)));
    expect(model.runs.map(({ inputs }) => valuesOf(inputs))).toEqual([[1]]);
    await echo(model);
    expect(valuesOf(model.runs[1]?.inputs)).toEqual([2, 3, 4, 5]);
    expect(queue.load()).toMatchObject({ inFlight: 3, queued: 1 });
    await echo(model);
    await echo(model);
    const outputs = (await Promise.all(answers)).map((answer) => valuesOf(answer.outputs));
    expect(outputs).toEqual([[1], [2], [3, 4], [5], [6]]);
  });

  test('requests of another form, or for other outputs, run in batches of their own', async () => {
    const { model, queue } = prepareBatches();
    const wide = [{ name: 'x', tensor: Tensor.from('FP32', [1, 2], [7, 8]) }];
    void queue.submit(rows(0));
    for (const value of [1, 2]) {
      void queue.submit(rows(value), { outputs: ['y'] });
      void queue.submit(rows(value + 10));
      void queue.submit(wide);
    }
    for (let run = 0; run < 4; run += 1) await echo(model);
    const runs = model.runs.map(({ inputs }) => valuesOf(inputs));
    expect(runs).toEqual([[0], [1, 2], [11, 12], [7, 8, 7, 8]]);
  });

  test('a request with more rows than fit runs alone', async () => {
    const { model, queue } = prepareBatches();
    void queue.submit(rows(0));
    void queue.submit(rows(1, 2, 3, 4, 5));
    void queue.submit(rows(6));
    await echo(model);
    expect(valuesOf(model.runs[1]?.inputs)).toEqual([1, 2, 3, 4, 5]);
  });

  test('of a batch that fails each is tried once more alone, and what fails then is its own', async () => {
    const { model, queue } = prepareBatches();
    void queue.submit(rows(0));
    const good = queue.submit(rows(1));
    const bad = failure(queue.submit(rows(2)));
    await echo(model);
    model.runs[1]?.reject(new ExecutionError('one of them divides by zero'));
    await vi.advanceTimersByTimeAsync(0);
    expect(valuesOf(model.runs[2]?.inputs)).toEqual([1]);
    await echo(model);
    expect(valuesOf((await good).outputs)).toEqual([1]);
    model.runs[3]?.reject(new ExecutionError('it divides by zero'));
    expect(await bad).toMatchObject({ message: 'it divides by zero' });
    expect(model.runs).toHaveLength(4);
  });

  test('one whose caller gave up is not tried again when its batch fails', async () => {
    const { model, queue } = prepareBatches();
    const abort = new AbortController();
    void queue.submit(rows(0));
    const left = failure(queue.submit(rows(1), { signal: abort.signal }));
    const stays = queue.submit(rows(2));
    await echo(model);
    abort.abort(new Error('enough'));
    model.runs[1]?.reject(new ExecutionError('no'));
    await vi.advanceTimersByTimeAsync(0);
    expect(valuesOf(model.runs[2]?.inputs)).toEqual([2]);
    await echo(model);
    expect(valuesOf((await stays).outputs)).toEqual([2]);
    expect(await left).toMatchObject({ message: 'enough' });
  });

  test('outputs without the rows of the inputs end batches for good, and each is answered alone', async () => {
    const { model, queue } = prepareBatches();
    const answers = [0, 1, 2, 3].map((value) => queue.submit(rows(value)));
    await echo(model);
    model.runs[1]?.resolve({ outputs: rows(9), executeMs: 1 });
    for (let run = 0; run < 3; run += 1) {
      await vi.advanceTimersByTimeAsync(0);
      await echo(model);
    }
    expect(model.runs.slice(2).map(({ inputs }) => valuesOf(inputs))).toEqual([[1], [2], [3]]);
    expect(await Promise.all(answers)).toHaveLength(4);
  });

  test('callers of one priority take turns, whoever sent more', async () => {
    const { model, queue } = prepareBatches({ maxRows: 2 });
    void queue.submit(rows(0), { caller: 'many' });
    for (const value of [1, 2, 3, 4]) void queue.submit(rows(value), { caller: 'many' });
    for (const value of [11, 12]) void queue.submit(rows(value), { caller: 'few' });
    for (let run = 0; run < 3; run += 1) await echo(model);
    const order = model.runs.flatMap(({ inputs }) => valuesOf(inputs) as number[]);
    expect(order.slice(0, 5).filter((value) => value > 10)).toHaveLength(2);
  });

  test('a delay holds the first back until a batch is full or the delay is over', async () => {
    const { model, queue } = prepareBatches({ maxRows: 2, maxDelayMs: 2 });
    void queue.submit(rows(1));
    expect(model.runs).toHaveLength(0);
    void queue.submit(rows(2));
    expect(valuesOf(model.runs[0]?.inputs)).toEqual([1, 2]);
    await echo(model);
    void queue.submit(rows(3));
    await vi.advanceTimersByTimeAsync(1);
    expect(model.runs).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(valuesOf(model.runs[1]?.inputs)).toEqual([3]);
  });

  test('while others wait, one that can not be done in time is not run', async () => {
    const { model, queue } = prepareBatches({ maxRows: 1 });
    void queue.submit(rows(0));
    await vi.advanceTimersByTimeAsync(100);
    await echo(model);
    void queue.submit(rows(1));
    const late = failure(queue.submit(rows(2), { deadlineAtMs: inMs(150) }));
    void queue.submit(rows(3));
    await vi.advanceTimersByTimeAsync(100);
    await echo(model);
    expect(await late).toMatchObject({ code: 'ERR_DEADLINE', phase: 'queue' });
    expect(valuesOf(model.runs[2]?.inputs)).toEqual([3]);
  });

  test('an input that ended the process twice alone is refused', async () => {
    const { model, queue } = prepareBatches();
    const died = () => new ExecutionError('killed', { details: { endedProcess: true } });
    for (let death = 0; death < 2; death += 1) {
      const attempt = failure(queue.submit(rows(13)));
      model.runs.at(-1)?.reject(died());
      expect(await attempt).toMatchObject({ code: 'ERR_EXECUTION' });
    }
    await expect(queue.submit(rows(13))).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' });
    void queue.submit(rows(14));
    expect(valuesOf(model.runs.at(-1)?.inputs)).toEqual([14]);
  });

  test('an input that was stopped at its limit twice is refused too', async () => {
    const { model, queue } = prepareBatches();
    const details = { limitMs: 1_000, endedProcess: true };
    for (let death = 0; death < 2; death += 1) {
      const attempt = failure(queue.submit(rows(13)));
      model.runs.at(-1)?.reject(new ExecutionError('stopped', { details }));
      expect(await attempt).toMatchObject({ code: 'ERR_EXECUTION' });
    }
    await expect(queue.submit(rows(13))).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' });
    expect(model.runs).toHaveLength(2);
  });

  test('one that would be late in a batch does not go along, and makes none of it late', async () => {
    const { model, queue } = prepareBatches();
    void queue.submit(rows(0));
    await vi.advanceTimersByTimeAsync(100);
    await echo(model);
    void queue.submit(rows(1));
    void queue.submit(rows(2), { deadlineAtMs: inMs(350) });
    const hasty = failure(queue.submit(rows(3), { deadlineAtMs: inMs(250) }));
    void queue.submit(rows(4));
    void queue.submit(rows(5));
    await vi.advanceTimersByTimeAsync(100);
    await echo(model);
    // A row takes 100 ms: two are done in time for the second, a third would not be, and the hasty one's own time is over with one.
    expect(valuesOf(model.runs[2]?.inputs)).toEqual([2, 4]);
    await vi.advanceTimersByTimeAsync(200);
    await echo(model);
    expect(await hasty).toMatchObject({ code: 'ERR_DEADLINE', phase: 'queue' });
  });
});
