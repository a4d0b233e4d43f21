/** What is told when nobody wants the answer any more. */
export interface CancelListener {
  cancelled(reason: unknown): void;
}

/**
 * Whether a request is wanted still: for each request of a node, where an `AbortController` with its signal and a listener cost a
 * twentieth of all that a small one takes. Who wants a signal has one.
 */
export class Cancellation {
  /** Told once; set to undefined by who wants to hear no more. Of those that are set, the last is told. */
  listener: CancelListener | undefined;
  #cancelled = false;
  #reason: unknown;
  #controller: AbortController | undefined;

  get cancelled(): boolean {
    return this.#cancelled;
  }

  /** Aborts with the same reason. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#cancelled) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  /** Idempotent: the first reason counts. */
  cancel(reason: unknown): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    this.#reason = reason;
    this.#controller?.abort(reason);
    const { listener } = this;
    this.listener = undefined;
    listener?.cancelled(reason);
  }

  /** Throws the reason once it is cancelled. */
  throwIfCancelled(): void {
    if (this.#cancelled) throw this.#reason;
  }
}
