import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SYSTEM_CLOCK } from '../../../../node/scheduler/clock.ts';
import { ExecutionError } from '../../../../protocols/errors.ts';
import { Cancellation } from '../../../../protocols/inference/index.ts';
import { type NamedTensor, Tensor } from '../../../../protocols/tensor.ts';
import { failure, type HeldModel, heldQueue, inMs } from '../../../support/held-queue.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** One input of a row for each value. */
const rows = (...values: readonly number[]): NamedTensor[] => [
  { name: 'x', tensor: Tensor.from('FP32', [values.length, 1], values) },
];

const valuesOf = (tensors: readonly NamedTensor[] | undefined) => tensors?.[0]?.tensor.toArray();

describe('VersionQueue with batches', () => {
  const BATCHING = { axis: 0, maxRows: 4, maxDelayMs: 0 };
  const prepareBatches = (over: Partial<typeof BATCHING> = {}) =>
    heldQueue({ maxQueued: 16, batching: { ...BATCHING, ...over } });

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

  test('what comes in one turn runs together from its first on, by the system’s own clock', async () => {
    const { model, queue } = heldQueue({ maxQueued: 16, batching: BATCHING, clock: SYSTEM_CLOCK });
    const answers = [1, 2, 3].map((value) => queue.submit(rows(value)));
    expect(model.runs).toEqual([]);
    await vi.advanceTimersByTimeAsync(0);
    expect(model.runs.map(({ inputs }) => valuesOf(inputs))).toEqual([[1, 2, 3]]);
    await echo(model);
    const outputs = (await Promise.all(answers)).map((answer) => valuesOf(answer.outputs));
    expect(outputs).toEqual([[1], [2], [3]]);
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
    const cancellation = new Cancellation();
    void queue.submit(rows(0));
    const left = failure(queue.submit(rows(1), { cancellation }));
    const stays = queue.submit(rows(2));
    await echo(model);
    cancellation.cancel(new Error('enough'));
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
