import { PACE_WINDOW_MS } from './limits.ts';

/** A timer this late means that this process stood still, not those it waits for. */
const STANDSTILL_MS = 500;

/** Looks in one window; each costs a timer and a division a holder. */
const LOOKS_PER_WINDOW = 5;

export interface PaceInit {
  /** Bytes a second below which somebody is too slow. */
  readonly minBytesPerSecond: number;
  /** Milliseconds over which a rate is measured. @default PACE_WINDOW_MS of docs/limits.md */
  readonly windowMs?: number | undefined;
}

/**
 * Whether somebody moves bytes at a least rate, judged window by window. Only the time in which it is that side that is waited for
 * counts. Pure: time is an argument, in milliseconds.
 */
export class Pace {
  readonly minBytesPerSecond: number;
  readonly #windowMs: number;
  /** Bytes that had moved when the window began. */
  #fromBytes = 0;
  /** Time of the window in which the other side was waited for, up to `sinceMs`. */
  #waitedMs = 0;
  /** Since when it is waited for; undefined while it is not. */
  #sinceMs: number | undefined;

  constructor({ minBytesPerSecond, windowMs = PACE_WINDOW_MS }: PaceInit) {
    this.minBytesPerSecond = minBytesPerSecond;
    this.#windowMs = windowMs;
  }

  /** From now on it is the other side that is waited for. */
  wait(nowMs: number): void {
    this.#sinceMs ??= nowMs;
  }

  /** It is not waited for any more: what passes now is our own time. */
  proceed(nowMs: number): void {
    this.#waitedMs = this.#waited(nowMs);
    this.#sinceMs = undefined;
  }

  /** A new window begins; nothing of what was is held against anybody. */
  restart(movedBytes: number, nowMs: number): void {
    this.#fromBytes = movedBytes;
    this.#waitedMs = 0;
    if (this.#sinceMs !== undefined) this.#sinceMs = nowMs;
  }

  /** The rate of a window that is over, when it was too low; undefined otherwise. */
  judge(movedBytes: number, nowMs: number): number | undefined {
    const waitedMs = this.#waited(nowMs);
    if (waitedMs < this.#windowMs) return undefined;
    const rate = Math.round(((movedBytes - this.#fromBytes) / waitedMs) * 1000);
    this.restart(movedBytes, nowMs);
    return rate < this.minBytesPerSecond ? rate : undefined;
  }

  #waited(nowMs: number): number {
    const sinceMs = this.#sinceMs ?? nowMs;
    return this.#waitedMs + Math.max(0, nowMs - sinceMs);
  }
}

/** Somebody who holds what others may wait for. */
export interface PacedHolder {
  readonly pace: Pace;
  /** Bytes that have moved so far. */
  movedBytes(): number;
  /** It must give up what it holds: others wait, and it moved so many bytes a second. */
  tooSlow(bytesPerSecond: number): void;
}

export interface PaceWatchInit {
  readonly holders: () => Iterable<PacedHolder>;
  /** True while somebody waits for what the holders have. */
  readonly contended: () => boolean;
  /** That of the holders' paces. @default PACE_WINDOW_MS of docs/limits.md */
  readonly windowMs?: number | undefined;
}

/** Holds those who have what others wait for to their pace; while nobody waits, anybody may be as slow as it likes. */
export class PaceWatch {
  readonly #init: PaceWatchInit;
  readonly #intervalMs: number;
  #timer: NodeJS.Timeout | undefined;
  #tickAtMs = 0;

  constructor(init: PaceWatchInit) {
    this.#init = init;
    this.#intervalMs = (init.windowMs ?? PACE_WINDOW_MS) / LOOKS_PER_WINDOW;
  }

  /** To be called when somebody begins to wait: from then on the holders have a whole window. */
  look(): void {
    if (this.#timer !== undefined || !this.#init.contended()) return;
    this.#tickAtMs = performance.now();
    this.#restart(this.#tickAtMs);
    this.#timer = setInterval(() => this.#tick(performance.now()), this.#intervalMs).unref();
  }

  #tick(nowMs: number): void {
    const stoodStill = nowMs - this.#tickAtMs > this.#intervalMs + STANDSTILL_MS;
    this.#tickAtMs = nowMs;
    if (!this.#init.contended()) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    if (stoodStill) return this.#restart(nowMs);
    // A copy: who gives up lets others in, who are holders then.
    for (const holder of [...this.#init.holders()]) {
      const rate = holder.pace.judge(holder.movedBytes(), nowMs);
      if (rate !== undefined) holder.tooSlow(rate);
    }
  }

  #restart(nowMs: number): void {
    for (const holder of this.#init.holders()) holder.pace.restart(holder.movedBytes(), nowMs);
  }
}
