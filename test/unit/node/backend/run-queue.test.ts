import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  encodePipeHeader,
  PIPE_FRAME,
  PipeFrameDecoder,
} from '../../../../node/backend/pipe-frame.ts';
import {
  MAX_AHEAD_BYTES,
  MAX_AHEAD_RUNS,
  MAX_PENDING_RUNS,
  type RunProcess,
  RunQueue,
} from '../../../../node/backend/run-queue.ts';
import { decodeTensorFrame, encodeTensorFrame } from '../../../../node/backend/tensor-frame.ts';
import { ExecutionError, NotFoundError } from '../../../../protocols/errors.ts';
import { Tensor } from '../../../../protocols/tensor.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A process whose answers a test writes; it reads a body when told, and notes that it was killed. */
class ScriptedProcess implements RunProcess {
  onFrame: RunProcess['onFrame'] = () => {};
  readonly sent: { id: number; value: unknown; wanted: readonly number[] }[] = [];
  killed = false;
  #answered = 0;
  readonly #flushes: (() => void)[] = [];

  send(type: number, id: number, pieces: readonly Uint8Array[], onSent?: () => void): void {
    if (type !== PIPE_FRAME.run) throw new Error(`unexpected frame of type ${type}`);
    const { numbers: wanted, tensors } = decodeTensorFrame(Uint8Array.from(Buffer.concat(pieces)));
    this.sent.push({ id, wanted, value: tensors[0]?.tensor.data[0] });
    this.#flushes.push(onSent ?? (() => {}));
  }

  /** Says that the body of the run under way, or of one behind it, has left. */
  flush(behind = 0): void {
    this.#flushes[this.#answered + behind]?.();
  }

  kill(): void {
    this.killed = true;
  }

  /** Answers the run under way with what it was given, or with another frame. */
  answer(type: number = PIPE_FRAME.result, pieces?: readonly Uint8Array[], id?: number): void {
    const { id: first = 0, value = 0 } = this.sent[this.#answered] ?? {};
    this.#answered += 1;
    const tensor = Tensor.from('FP32', [1], [Number(value)]);
    const echo = encodeTensorFrame({ numbers: [2.5, 1024], tensors: [{ index: 0, tensor }] });
    const payload = Buffer.concat(pieces ?? echo);
    const stream = Buffer.concat([
      encodePipeHeader(type, id ?? first, payload.byteLength),
      payload,
    ]);
    for (const frame of new PipeFrameDecoder(1e6).push(stream)) this.onFrame(frame);
  }
}

const CRASH = new ExecutionError('model failed: its process was killed by SIGFPE');

function prepare() {
  const answers: number[] = [];
  const queue = new RunQueue({ onAnswer: () => answers.push(1) });
  const process = new ScriptedProcess();
  queue.attach(process);
  const begun: number[] = [];
  const add = async (value: number, limitMs = 1_000, signal?: AbortSignal): Promise<number> => {
    const tensor = Tensor.from('FP32', [1], [value]);
    const onBegin = (): unknown => begun.push(value);
    const { outputs } = await queue.add([{ index: 0, tensor }], [0], { limitMs, signal, onBegin });
    return outputs[0]?.tensor.toArray()[0] as number;
  };
  return { queue, process, add, answers, begun };
}

describe('RunQueue', () => {
  test('sends runs ahead of the one that executes, in order, and gives each its own answer', async () => {
    const { process, add, queue, answers, begun } = prepare();
    const values = Array.from({ length: MAX_AHEAD_RUNS + 2 }, (_, index) => index + 1);
    const runs = values.map(async (value) => add(value));
    expect(process.sent[0]).toMatchObject({ value: 1, wanted: [0] });
    expect(process.sent.map(({ value }) => value)).toEqual(values.slice(0, -1));
    expect(begun).toEqual([1]);
    process.answer();
    await expect(runs[0]).resolves.toBe(1);
    expect(begun).toEqual([1, 2]);
    for (const value of values.slice(1)) {
      process.answer();
      await expect(runs[value - 1]).resolves.toBe(value);
    }
    expect(queue.memoryBytes).toBe(1024);
    expect(answers).toHaveLength(values.length);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('sends more once half of what lay ready is done, all at once, so that the process is never without', async () => {
    const { process, add } = prepare();
    const runs = Array.from({ length: 3 * MAX_AHEAD_RUNS }, async (_, index) => add(index));
    const sent: number[] = [];
    for (const run of runs) {
      sent.push(process.sent.length);
      process.answer();
      await run;
    }
    const half = MAX_AHEAD_RUNS / 2;
    const full = MAX_AHEAD_RUNS + 1;
    expect(sent.slice(0, half)).toEqual(Array.from({ length: half }, () => full));
    expect(sent.slice(half, 2 * half)).toEqual(Array.from({ length: half }, () => full + half));
    expect(sent.every((count, answered) => count > answered)).toBe(true);
  });

  test('a run of as many bytes as may lie ready is sent ahead, and one of more is not', async () => {
    const { process, queue } = prepare();
    const add = async (bytes: number) =>
      queue.add([{ index: 0, tensor: new Tensor('INT8', [bytes], new Uint8Array(bytes)) }], [0], {
        limitMs: 1_000,
      });
    const runs = [add(1), add(MAX_AHEAD_BYTES), add(MAX_AHEAD_BYTES + 1)];
    expect(process.sent).toHaveLength(2);
    process.answer();
    await runs[0];
    expect(process.sent).toHaveLength(2);
    process.answer();
    await runs[1];
    expect(process.sent).toHaveLength(3);
    process.answer();
    await runs[2];
  });

  test('an error that the process answers is the run’s alone', async () => {
    const { process, add, answers } = prepare();
    const runs = [add(1), add(2)];
    const failure = Buffer.from('{"code":"ERR_INVALID_INPUT","message":"wrong"}');
    process.answer(PIPE_FRAME.failure, [failure]);
    await expect(runs[0]).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT', message: 'wrong' });
    process.answer();
    await expect(runs[1]).resolves.toBe(2);
    expect(answers).toHaveLength(2);
  });

  test('what the process says of a run that its limit has ended, or of the one behind it, is not heard', async () => {
    const { process, add, queue, answers } = prepare();
    const slow = add(1, 300);
    const behind = add(2);
    vi.advanceTimersByTime(300);
    process.answer();
    process.answer();
    expect(answers).toEqual([]);
    queue.detach(new ExecutionError('was killed by SIGKILL'), false);
    await expect(slow).rejects.toMatchObject({ details: { limitMs: 300 } });
    const next = new ScriptedProcess();
    queue.attach(next);
    next.answer();
    await expect(behind).resolves.toBe(2);
  });

  test('the limit kills the process, fails that run with the limit, and the others go to the next process', async () => {
    const { process, add, queue } = prepare();
    const slow = add(1, 300);
    const behind = add(2);
    process.flush();
    vi.advanceTimersByTime(299);
    expect(process.killed).toBe(false);
    vi.advanceTimersByTime(1);
    expect(process.killed).toBe(true);
    // An answer that was on its way changes nothing any more.
    process.answer();
    queue.detach(new ExecutionError('was killed by SIGKILL'), false);
    await expect(slow).rejects.toMatchObject({
      code: 'ERR_EXECUTION',
      details: { limitMs: 300, endedProcess: true },
    });
    const next = new ScriptedProcess();
    queue.attach(next);
    next.answer();
    await expect(behind).resolves.toBe(2);
  });

  describe('a limit that passed while this process was kept from looking', () => {
    /** Time that passes in one turn of the event loop. */
    const block = (ms: number): void => {
      const endMs = performance.now() + ms;
      while (performance.now() < endMs);
    };

    test('leaves time to hear the answer that came meanwhile', async () => {
      vi.useRealTimers();
      const { process, add } = prepare();
      const run = add(1, 20);
      block(200);
      // As what lies in a pipe does, it comes after the timers that are due.
      setTimeout(() => setImmediate(() => process.answer()), 0);
      expect(await run).toBe(1);
      expect(process.killed).toBe(false);
    });

    test('kills a process that does not answer then either', async () => {
      vi.useRealTimers();
      const { process, queue, add } = prepare();
      const run = add(1, 20);
      block(200);
      await vi.waitFor(() => expect(process.killed).toBe(true));
      queue.detach(CRASH, false);
      await expect(run).rejects.toMatchObject({ details: { limitMs: 20 } });
    });
  });

  test('the limit begins anew when the whole input has left', async () => {
    const { process, add } = prepare();
    const run = add(1, 300);
    vi.advanceTimersByTime(250);
    process.flush();
    vi.advanceTimersByTime(299);
    expect(process.killed).toBe(false);
    process.answer();
    await expect(run).resolves.toBe(1);
  });

  test('a run that lies ready has not begun: its limit begins when the one before it ends', async () => {
    const { process, add } = prepare();
    const first = add(1, 10_000);
    const second = add(2, 300);
    process.flush(1);
    vi.advanceTimersByTime(5_000);
    process.answer();
    await first;
    vi.advanceTimersByTime(299);
    expect(process.killed).toBe(false);
    vi.advanceTimersByTime(1);
    expect(process.killed).toBe(true);
    second.catch(() => {});
  });

  test('a run whose process died of a fault fails with it, once; those behind are sent again', async () => {
    const { queue, process, add } = prepare();
    const deadly = add(1);
    const behind = add(2);
    queue.detach(CRASH, true);
    await expect(deadly).rejects.toBe(CRASH);
    const next = new ScriptedProcess();
    queue.attach(next);
    expect(next.sent.map(({ value }) => value)).toEqual([2]);
    next.answer();
    await expect(behind).resolves.toBe(2);
    expect(process.sent.map(({ value }) => value)).toEqual([1, 2]);
  });

  test('a run that lay ready when the process was killed from outside was not tried, whatever that was', async () => {
    const { queue, add } = prepare();
    const runs = [add(1), add(2)];
    queue.detach(CRASH, false);
    const second = new ScriptedProcess();
    queue.attach(second);
    second.answer();
    await expect(runs[0]).resolves.toBe(1);
    // Its first death as one that ran: it has one more try.
    queue.detach(CRASH, false);
    const third = new ScriptedProcess();
    queue.attach(third);
    third.answer();
    await expect(runs[1]).resolves.toBe(2);
  });

  test('a run whose process was killed from outside is tried once more, first of all, and not twice', async () => {
    const { queue, add } = prepare();
    const unlucky = add(1);
    const behind = add(2);
    queue.detach(CRASH, false);
    const second = new ScriptedProcess();
    queue.attach(second);
    expect(second.sent.map(({ value }) => value)).toEqual([1, 2]);
    queue.detach(CRASH, false);
    await expect(unlucky).rejects.toBe(CRASH);
    const third = new ScriptedProcess();
    queue.attach(third);
    third.answer();
    await expect(behind).resolves.toBe(2);
  });

  test('an aborted run that waits is never sent; one that was sent keeps its place until it ends', async () => {
    const { process, add } = prepare();
    const abort = new AbortController();
    const sent = MAX_AHEAD_RUNS + 1;
    const values = Array.from({ length: sent + 1 }, (_, index) => index + 1);
    const aborted = values.map(async (value) => add(value, 1_000, abort.signal));
    const last = add(99);
    const reason = new Error('enough');
    abort.abort(reason);
    for (const run of aborted) await expect(run).rejects.toBe(reason);
    expect(process.sent).toHaveLength(sent);
    expect(process.killed).toBe(false);
    for (let run = 0; run < sent + 1; run += 1) process.answer();
    await expect(last).resolves.toBe(99);
    expect(process.sent.map(({ value }) => value)).toEqual([...values.slice(0, sent), 99]);
  });

  test('an abandoned run is not tried again on the next process, whether it ran or lay ready', async () => {
    const { queue, add } = prepare();
    const abort = new AbortController();
    const abandoned = [1, 2].map(async (value) => add(value, 1_000, abort.signal));
    abort.abort(new Error('enough'));
    for (const run of abandoned) await expect(run).rejects.toThrow('enough');
    queue.detach(CRASH, false);
    const next = new ScriptedProcess();
    queue.attach(next);
    expect(next.sent).toEqual([]);
  });

  test.each<[what: string, type: number, payload: string, id?: number]>([
    ['an answer to no run', PIPE_FRAME.result, '', 99],
    ['a frame of unknown type', 77, ''],
    ['a result that is no tensor frame', PIPE_FRAME.result, 'garbage'],
    ['a failure that is no JSON', PIPE_FRAME.failure, '{'],
  ])(
    '%s is a breach for which the process is killed, and the run fails with it',
    async (_, type, payload, id) => {
      const { queue, process, add } = prepare();
      const run = add(1);
      // ModelProcess kills a child for what its frames make throw.
      expect(() => process.answer(type, [Buffer.from(payload)], id)).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_MESSAGE' }),
      );
      queue.detach(CRASH, true);
      await expect(run).rejects.toBe(CRASH);
    },
  );

  test('closing rejects every run, and every later one', async () => {
    const { queue, add } = prepare();
    const runs = [add(1), add(2)];
    const gone = new NotFoundError('unloaded');
    queue.close(gone);
    for (const run of runs) await expect(run).rejects.toBe(gone);
    await expect(add(3)).rejects.toBe(gone);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('as many runs wait as the limit, and one more is refused as busy', async () => {
    const { queue, add } = prepare();
    // The others are with the process.
    const runs = Array.from({ length: MAX_PENDING_RUNS + 1 + MAX_AHEAD_RUNS }, async (_, index) =>
      add(index),
    );
    await expect(add(0)).rejects.toMatchObject({ code: 'ERR_BUSY' });
    queue.close(CRASH);
    const settled = await Promise.allSettled(runs);
    expect(settled.every((run) => run.status === 'rejected' && run.reason === CRASH)).toBe(true);
  });
});
