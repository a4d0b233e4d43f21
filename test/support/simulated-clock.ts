import type { Clock } from '../../node/scheduler/clock.ts';

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

/** Time that passes when a test says so. */
export class SimulatedClock implements Clock {
  #nowMs = 0;
  readonly #timers = new Set<Timer>();

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** At once: whatever happens in a story does so in a turn of its own. */
  soon(callback: () => void): void {
    callback();
  }

  /** Lets time pass until then, one timer after another, those of one moment in the order they were set. */
  async advanceTo(untilMs: number): Promise<void> {
    await settled();
    for (
      let next = this.#first();
      next !== undefined && next.atMs <= untilMs;
      next = this.#first()
    ) {
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
      await settled();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  #first(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (first === undefined || timer.atMs < first.atMs) first = timer;
    }
    return first;
  }
}

/** Resolves when all that follows from what has happened so far has happened: promises, whatever their depth. */
async function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
