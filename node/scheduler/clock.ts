/** Time as the scheduler sees it: an argument, so that what it does can be told and tried on a time of its own. */
export interface Clock {
  /** Milliseconds since any moment; never goes back. */
  nowMs(): number;
  /** Calls back once, after so many milliseconds or at most {@link MAX_DELAY_MS}; returns what takes that back. */
  after(delayMs: number, callback: () => void): () => void;
  /** Calls back once, when whoever runs now has handed in all that it has. */
  soon(callback: () => void): void;
}

/** Longest delay a timer takes, in milliseconds: whoever waits for longer looks again then. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** The clock of `performance.now()`. */
export const SYSTEM_CLOCK: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(MAX_DELAY_MS, delayMs));
    return () => clearTimeout(timer);
  },
  soon: queueMicrotask,
};

/** What calls back at the end of a turn in which it was asked to, once. */
export function oncePerTurn(clock: Clock, callback: () => void): () => void {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    clock.soon(() => {
      asked = false;
      callback();
    });
  };
}
