import { BusyError, ExecutionError, InvalidMessageError } from '../../protocols/errors.ts';
import { bytesOf } from '../../protocols/tensor.ts';
import type { RunOptions } from './backend.ts';
import type { ModelProcess } from './model-process.ts';
import { PIPE_FRAME, type PipeFrame } from './pipe-frame.ts';
import { decodeFailure, parsePipeFailure } from './pipe-message.ts';
import { decodeTensorFrame, encodeTensorFrame, type IndexedTensor } from './tensor-frame.ts';

/** Runs of one model that may wait or run: whoever queues requests bounds them far below. */
export const MAX_PENDING_RUNS = 4096;

/** Runs that are sent while another executes: whoever queues requests decides how much time of them may lie ready. */
export const MAX_AHEAD_RUNS = 8;

/**
 * Once as many lie ready as may, more are sent when so many are left, and then all at once: a system call here for all of them, and
 * one there that reads them. Sent one by one, each for an answer, they cost a small model a quarter of its runs.
 */
const FEW_AHEAD_RUNS = MAX_AHEAD_RUNS / 2;

/**
 * Bytes of inputs that are sent while another run executes. What the pipe does not hold waits in this process, beside the
 * requests that it was made of: a larger one executes for long enough to be sent when it may begin.
 */
export const MAX_AHEAD_BYTES = 16 * 1024 * 1024;

/** Milliseconds by which a timer is late when this process did not come to it: an answer may have come meanwhile and lie unread. */
const LATE_MS = 20;

/** Longest delay a timer takes, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** What one run gave. */
export interface RunAnswer {
  readonly outputs: readonly IndexedTensor[];
  /** Milliseconds inside the model. */
  readonly executeMs: number;
}

/** A run from its call to its answer. */
export interface PendingRun {
  readonly tensors: readonly IndexedTensor[];
  /** Indices of the outputs wanted. */
  readonly wanted: readonly number[];
  readonly limitMs: number;
  /** Told when the run is all that the process has to do. */
  readonly onBegin: (() => void) | undefined;
  /** True once the caller has its answer, its error, or has given up. */
  settled: boolean;
  /** True once a process that was killed from outside has taken the run with it. */
  retried: boolean;
  /** True once the run's own limit has killed the process. */
  stopped: boolean;
  readonly resolve: (answer: RunAnswer) => void;
  readonly reject: (reason: unknown) => void;
}

/** A run that was handed to the process. */
interface SentRun {
  readonly run: PendingRun;
  /** Number of its frame, so that an answer is known to be its own. */
  readonly id: number;
}

/** The part of {@link ModelProcess} that runs pass through. */
export type RunProcess = Pick<ModelProcess, 'onFrame' | 'send' | 'kill'>;

export interface RunQueueInit {
  /** Called for each run that the process answered, be it with an error. */
  readonly onAnswer: () => void;
}

/**
 * Runs of one model, one after another on whatever process serves it now. While one executes, the next ones are sent, so
 * that the process finds them when it is free.
 *
 * Between {@link detach} and the next {@link attach} there is no process, and runs wait. A run that a process took with it
 * fails alone when the fault was its own, and is tried once more when the process was killed from outside. One that was sent
 * ahead has done nothing and waits again, in its place.
 */
export class RunQueue {
  /** Resident bytes of the process after its last answer; null when unknown. */
  memoryBytes: number | null = null;
  readonly #init: RunQueueInit;
  readonly #line: PendingRun[] = [];
  /** The run that executes; it stays there when its caller gives up. */
  #current: SentRun | undefined;
  /** The runs that are to execute next and lie in the pipe, in their order; only while there is a current one. */
  readonly #ahead: SentRun[] = [];
  /** True from when as many lay ready as may, until few are left. */
  #enoughAhead = false;
  #process: RunProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lastId = 0;
  /** Why no run is taken any more. */
  #closed: Error | undefined;

  constructor(init: RunQueueInit) {
    this.#init = init;
  }

  /** Whether a run is in the process, be it one that its caller has given up. */
  get running(): boolean {
    return this.#current !== undefined;
  }

  /** Adds a run and resolves with its answer; an aborted signal rejects and abandons the result. */
  async add(
    tensors: readonly IndexedTensor[],
    wanted: readonly number[],
    { signal, limitMs, onBegin }: Pick<RunOptions, 'signal' | 'limitMs' | 'onBegin'>,
  ): Promise<RunAnswer> {
    signal?.throwIfAborted();
    if (this.#closed !== undefined) throw this.#closed;
    if (this.#line.length >= MAX_PENDING_RUNS) {
      throw new BusyError(`${this.#line.length} runs wait for this model already`, 1_000);
    }
    return new Promise((resolve, reject) => {
      const settle = <T>(then: (value: T) => void) => {
        return (value: T): void => {
          run.settled = true;
          signal?.removeEventListener('abort', onAbort);
          then(value);
        };
      };
      const run: PendingRun = {
        tensors,
        wanted,
        limitMs,
        onBegin,
        settled: false,
        retried: false,
        stopped: false,
        resolve: settle(resolve),
        reject: settle(reject),
      };
      const onAbort = (): void => this.#abandon(run, signal?.reason);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#line.push(run);
      this.#advance();
    });
  }

  /** Gives the runs a process that holds the model. */
  attach(process: RunProcess): void {
    this.#process = process;
    process.onFrame = (frame) => this.#answered(frame);
    this.#advance();
  }

  /** Tells that the process is gone, and how: `error` is for the run that it died of, if it did. */
  detach(error: Error, isFault: boolean): void {
    this.#process = undefined;
    const { current, ahead } = this.#take();
    this.#line.unshift(...ahead.filter(({ settled }) => !settled));
    if (current === undefined || current.settled) return;
    if (current.stopped) {
      const { limitMs } = current;
      const message = `model was stopped after ${limitMs} ms, the limit of one execution`;
      current.reject(new ExecutionError(message, { details: { limitMs, endedProcess: true } }));
    } else if (isFault || current.retried) {
      // Its input would kill the next process too.
      current.reject(error);
    } else {
      current.retried = true;
      this.#line.unshift(current);
    }
  }

  /** Rejects every run, those that wait and those that come later. */
  close(error: Error): void {
    this.#closed ??= error;
    const { current, ahead } = this.#take();
    for (const run of [current, ...ahead, ...this.#line.splice(0)]) run?.reject(error);
  }

  #abandon(run: PendingRun, reason: unknown): void {
    run.reject(reason);
    const index = this.#line.indexOf(run);
    if (index >= 0) this.#line.splice(index, 1);
  }

  /** Sends the next run when the process is free, and more for it to find when it will be. */
  #advance(): void {
    const process = this.#process;
    if (process === undefined) return;
    if (this.#current === undefined) {
      const run = this.#line.shift();
      if (run === undefined) return;
      this.#current = this.#send(run, process);
      this.#begin(run, process);
    }
    // The process is about to be killed: what is sent to it now is sent in vain.
    if (this.#current.run.stopped) return;
    if (this.#ahead.length <= FEW_AHEAD_RUNS) this.#enoughAhead = false;
    if (this.#enoughAhead) return;
    let aheadBytes = this.#ahead.reduce((sum, { run }) => sum + bytesOf(run.tensors), 0);
    while (this.#ahead.length < MAX_AHEAD_RUNS) {
      const [next] = this.#line;
      if (next === undefined) return;
      aheadBytes += bytesOf(next.tensors);
      if (aheadBytes > MAX_AHEAD_BYTES) return;
      this.#line.shift();
      this.#ahead.push(this.#send(next, process));
    }
    this.#enoughAhead = true;
  }

  #send(run: PendingRun, process: RunProcess): SentRun {
    this.#lastId = (this.#lastId + 1) >>> 0;
    const pieces = encodeTensorFrame({ numbers: run.wanted, tensors: run.tensors });
    // The child executes once it has read all: a large body on its way must not count as execution.
    process.send(PIPE_FRAME.run, this.#lastId, pieces, () => {
      if (this.#current?.run === run && this.#process === process) this.#limit(run, process);
    });
    return { run, id: this.#lastId };
  }

  #begin(run: PendingRun, process: RunProcess): void {
    this.#limit(run, process);
    run.onBegin?.();
  }

  /** Starts the run's time, again when its input has left whole: a child that does not even read has the same time for that. */
  #limit(run: PendingRun, process: RunProcess): void {
    const limitMs = Math.min(run.limitMs, MAX_TIMER_MS);
    this.#stopAfter(limitMs, (lateMs) => {
      const stop = (): void => {
        run.stopped = true;
        process.kill();
      };
      // Busy, or halted with its whole host, this process heard nothing, and the other may have been halted too: as much time again.
      if (lateMs > LATE_MS) this.#stopAfter(Math.min(lateMs, limitMs), stop);
      else stop();
    });
  }

  /** @param stop called with the milliseconds that it is called too late */
  #stopAfter(ms: number, stop: (lateMs: number) => void): void {
    clearTimeout(this.#timer);
    const dueMs = performance.now() + ms;
    this.#timer = setTimeout(() => stop(performance.now() - dueMs), ms);
  }

  #answered(frame: PipeFrame): void {
    const [current, process] = [this.#current, this.#process];
    // Too late: the process is being killed, and who waits behind this run goes to the next one.
    if (current?.run.stopped === true) return;
    if (current === undefined || process === undefined || frame.id !== current.id) {
      throw new InvalidMessageError(`answer ${frame.id} to no run under way`);
    }
    const settle = this.#decode(frame);
    clearTimeout(this.#timer);
    this.#current = this.#ahead.shift();
    if (this.#current !== undefined) this.#begin(this.#current.run, process);
    this.#init.onAnswer();
    settle(current.run);
    this.#advance();
  }

  /** What a frame says, to be told to its run. */
  #decode({ type, payload }: PipeFrame): (run: PendingRun) => void {
    if (type === PIPE_FRAME.failure) {
      const error = decodeFailure(parsePipeFailure(payload));
      return (run) => run.reject(error);
    }
    if (type !== PIPE_FRAME.result) throw new InvalidMessageError(`answer of unknown type ${type}`);
    const { numbers, tensors: outputs } = decodeTensorFrame(payload);
    const [executeMs = 0, memoryBytes = 0] = numbers;
    if (memoryBytes > 0) this.memoryBytes = memoryBytes;
    return (run) => run.resolve({ outputs, executeMs });
  }

  /** Takes what is in the process, and ends its time. */
  #take(): { readonly current: PendingRun | undefined; readonly ahead: PendingRun[] } {
    clearTimeout(this.#timer);
    const current = this.#current?.run;
    this.#current = undefined;
    return { current, ahead: this.#ahead.splice(0).map(({ run }) => run) };
  }
}
