import { DeadlineError } from '../../protocols/errors.ts';

/** One call's time: a signal that aborts at its deadline or when its caller gives up, and how much is left. */
export class CallClock implements Disposable {
  readonly signal: AbortSignal;
  readonly #startedAt = performance.now();
  readonly #deadlineMs: number;
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #callerSignal: AbortSignal | undefined;
  #expired = false;

  constructor(deadlineMs: number, callerSignal: AbortSignal | undefined) {
    callerSignal?.throwIfAborted();
    this.#deadlineMs = deadlineMs;
    this.#callerSignal = callerSignal;
    this.signal = this.#controller.signal;
    // One timer and one listener instead of AbortSignal.any and .timeout, which cost 10 µs a call.
    this.#timer = setTimeout(() => this.#expire(), Math.max(1, deadlineMs));
    callerSignal?.addEventListener('abort', this.#onCallerAbort);
  }

  /** True once the deadline passed, unless the caller gave up before. */
  get expired(): boolean {
    return this.#expired;
  }

  elapsedMs(): number {
    return performance.now() - this.#startedAt;
  }

  /** Milliseconds left, at least 1: what a node is told must be positive. */
  remainingMs(): number {
    return Math.max(1, Math.floor(this.#deadlineMs - this.elapsedMs()));
  }

  /** Waits, or rejects when the call ends first. */
  async sleep(ms: number): Promise<void> {
    this.signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(this.signal.reason);
      };
      const timer = setTimeout(() => {
        this.signal.removeEventListener('abort', onAbort);
        resolve();
      }, ms);
      this.signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** The error the caller should see: its own abort reason, or the deadline when that was what ended the call. */
  explain(error: unknown, what: string): unknown {
    if (this.#callerSignal?.aborted === true) return this.#callerSignal.reason;
    if (!this.#expired || error instanceof DeadlineError) return error;
    return new DeadlineError(`${what}: no answer within ${this.#deadlineMs} ms`, 'total', {
      cause: error,
    });
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#callerSignal?.removeEventListener('abort', this.#onCallerAbort);
  }

  readonly #onCallerAbort = (): void => this.#controller.abort(this.#callerSignal?.reason);

  #expire(): void {
    this.#expired = true;
    this.#controller.abort(new DOMException('deadline', 'TimeoutError'));
  }
}
