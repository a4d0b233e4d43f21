import type { Stream } from '@libp2p/interface';

/**
 * Reads nothing from a stream for a while: its flow control then stops whoever sends. A peer that makes no room for what it is owed
 * in all that time is given up.
 */
export class ReadPause {
  readonly #stream: Stream;
  readonly #onLate: (ms: number) => void;
  #timer: NodeJS.Timeout | undefined;
  /** True while libp2p hands out what came during the last pause. */
  #resuming = false;

  /** @param onLate called when a pause took longer than it may */
  constructor(stream: Stream, onLate: (ms: number) => void) {
    this.#stream = stream;
    this.#onLate = onLate;
  }

  /** True from {@link begin} to {@link end}. */
  get begun(): boolean {
    return this.#timer !== undefined;
  }

  /** Begins, unless it has begun already. */
  begin(maxMs: number): void {
    if (this.begun) return;
    this.#timer = setTimeout(() => this.#onLate(maxMs), maxMs).unref();
    // A stream that is paused while it is being resumed ends up paused for us and running for its peer.
    if (!this.#resuming && this.#readable) this.#stream.pause();
  }

  /** Reads on. */
  end(): void {
    if (!this.begun) return;
    this.cancel();
    if (!this.#readable) return;
    this.#resuming = true;
    this.#stream.resume();
    this.#resuming = false;
    // `begin` was called for what came out meanwhile.
    if (this.begun && this.#readable) this.#stream.pause();
  }

  /** Ends the wait of a stream that is gone. */
  cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  get #readable(): boolean {
    const { readStatus } = this.#stream;
    return readStatus !== 'closed' && readStatus !== 'closing';
  }
}
