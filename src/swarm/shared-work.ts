import { raced } from './raced.ts';

/**
 * Work that many callers want at once and that is done once: a thousand requests that begin together ask the peers around one
 * question, not a thousand.
 */
export class SharedWork<T> {
  readonly #timeoutMs: number;
  readonly #underway = new Map<string, Promise<T>>();

  /** `timeoutMs` bounds the work itself, which does not end when one of those who wait for it gives up. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** True while the work of this key is under way. */
  isUnderway(key: string): boolean {
    return this.#underway.has(key);
  }

  /** Joins the work of this key, or begins it; rejects as the work does, or when the caller's signal aborts first. */
  async run(
    key: string,
    work: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    signal.throwIfAborted();
    let shared = this.#underway.get(key);
    if (shared === undefined) {
      shared = work(AbortSignal.timeout(this.#timeoutMs)).finally(() => this.#underway.delete(key));
      this.#underway.set(key, shared);
    }
    return raced(shared, signal);
  }
}
