import type { Stream } from '@libp2p/interface';

/**
 * Reads nothing from a stream for a while: its flow control then stops whoever sends. Either because the peer does not read what it
 * is owed, and then until it does, or for a rest of so many milliseconds.
 */
export class ReadPause {
  readonly #stream: Stream;
  readonly #onEnd: () => void;
  /** Gives a peer up that does not read. */
  #unreadTimer: NodeJS.Timeout | undefined;
  /** Ends the rest. */
  #restTimer: NodeJS.Timeout | undefined;
  /** True while libp2p hands out what came during the last pause. */
  #resuming = false;

  /** @param onEnd called when it reads on */
  constructor(stream: Stream, onEnd: () => void) {
    this.#stream = stream;
    this.#onEnd = onEnd;
  }

  get paused(): boolean {
    return this.#unreadTimer !== undefined || this.#restTimer !== undefined;
  }

  /** Pauses until {@link read}; `onLate` is called when that takes longer than it may. */
  unread(maxMs: number, onLate: () => void): void {
    if (this.#unreadTimer !== undefined) return;
    this.#pause();
    this.#unreadTimer = setTimeout(onLate, maxMs).unref();
  }

  /** The peer has read what it is owed. */
  read(): void {
    if (this.#unreadTimer === undefined) return;
    clearTimeout(this.#unreadTimer);
    this.#unreadTimer = undefined;
    this.#resume();
  }

  /** Pauses for so long; within a rest it changes nothing. */
  rest(ms: number): void {
    if (this.#restTimer !== undefined) return;
    this.#pause();
    this.#restTimer = setTimeout(() => {
      this.#restTimer = undefined;
      this.#resume();
    }, ms).unref();
  }

  /** Ends the waits of a stream that is gone. */
  cancel(): void {
    clearTimeout(this.#unreadTimer);
    clearTimeout(this.#restTimer);
  }

  #pause(): void {
    // A stream that is paused while it is being resumed ends up paused for us and running for its peer.
    if (!this.paused && !this.#resuming && this.#readable) this.#stream.pause();
  }

  #resume(): void {
    if (this.paused || !this.#readable) return;
    this.#resuming = true;
    this.#stream.resume();
    this.#resuming = false;
    // What came out meanwhile may be reason enough for the next pause.
    if (!this.paused) this.#onEnd();
    else if (this.#readable) this.#stream.pause();
  }

  get #readable(): boolean {
    const { readStatus } = this.#stream;
    return readStatus !== 'closed' && readStatus !== 'closing';
  }
}
