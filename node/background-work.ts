/** Work that nobody waits for: what fails is told, and what is under way is ended and awaited when its owner stops. */
export class BackgroundWork {
  readonly #onFailure: (error: unknown) => void;
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<void>>();

  /** @param onFailure hears of what fails, but for that which fails because its owner stops */
  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  /** Aborts when the owner stops. */
  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  run(work: () => Promise<void>): void {
    const running = work().catch((error: unknown) => {
      if (!this.signal.aborted) this.#onFailure(error);
    });
    this.#running.add(running);
    void running.finally(() => this.#running.delete(running));
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stopping.abort(new DOMException('the node stops', 'AbortError'));
    await Promise.all(this.#running);
  }
}
