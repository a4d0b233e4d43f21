/** Milliseconds without a sign of life until a node counts as gone. */
export const DEFAULT_SILENCE_TIMEOUT_MS = 3_000;

/** How often a node that owes an answer is asked whether it is there. */
const PING_INTERVAL_MS = 1_000;

/** A timer this late means that this process stood still, not the node: what it sent meanwhile is not read yet. */
const STANDSTILL_MS = 500;

export interface PeerSilenceInit {
  /** @default 3000 */
  readonly timeoutMs?: number | undefined;
  readonly ping: () => void;
  /** Called once the other side has been silent for so long. */
  readonly onSilent: (silentMs: number) => void;
}

/**
 * Notices that the other side of a stream has died without a word: a frozen process, a cut cable. TCP would need minutes.
 * It asks for a sign of life while one is owed, and only then.
 */
export class PeerSilence {
  readonly #init: PeerSilenceInit;
  readonly #timeoutMs: number;
  readonly #intervalMs: number;
  #timer: NodeJS.Timeout | undefined;
  #owed = false;
  #heardAtMs = 0;
  #tickAtMs = 0;

  constructor(init: PeerSilenceInit) {
    this.#init = init;
    this.#timeoutMs = init.timeoutMs ?? DEFAULT_SILENCE_TIMEOUT_MS;
    this.#intervalMs = Math.min(PING_INTERVAL_MS, Math.ceil(this.#timeoutMs / 3));
  }

  /** From now on the other side owes an answer. */
  watch(): void {
    if (this.#owed) return;
    this.#owed = true;
    this.#heardAtMs = performance.now();
    if (this.#timer !== undefined) return;
    this.#tickAtMs = this.#heardAtMs;
    this.#timer = setInterval(() => this.#tick(), this.#intervalMs);
  }

  /** The other side gave a sign of life. */
  heard(): void {
    // The clock is read once a tick: this is called for every frame.
    this.#heardAtMs = Number.POSITIVE_INFINITY;
  }

  /** Nothing is owed for now. The timer goes at its next tick only: one request after the other would set it again each time. */
  rest(): void {
    this.#owed = false;
  }

  /** Nothing will be owed any more. */
  stop(): void {
    this.#owed = false;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    if (!this.#owed) return this.stop();
    const nowMs = performance.now();
    const stoodStill = nowMs - this.#tickAtMs > this.#intervalMs + STANDSTILL_MS;
    this.#tickAtMs = nowMs;
    if (stoodStill || this.#heardAtMs > nowMs) this.#heardAtMs = nowMs;
    const silentMs = nowMs - this.#heardAtMs;
    if (silentMs >= this.#timeoutMs) {
      this.stop();
      this.#init.onSilent(Math.round(silentMs));
    } else this.#init.ping();
  }
}
