import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import {
  BUSY,
  NAPPING,
  RESIDENT_KIB,
  WATCH_SLOTS,
  WATCHING,
  type WatchdogInit,
} from './watch-state.ts';

/** Milliseconds the watchdog thread has to come up. */
const START_TIMEOUT_MS = 10_000;

/** The watched thread's view of its watchdog. */
export class Guard {
  readonly #slots: Int32Array;

  private constructor(slots: Int32Array) {
    this.#slots = slots;
  }

  /** Starts the watchdog; {@link ready} says when it watches. */
  static start(init: Omit<WatchdogInit, 'state'>): Guard {
    const state = new SharedArrayBuffer(WATCH_SLOTS * Int32Array.BYTES_PER_ELEMENT);
    // The sibling file has this file's extension: .ts in the checkout, .js when built.
    const entry = new URL(`./watchdog${extname(import.meta.url)}`, import.meta.url);
    const worker = new Worker(entry, { workerData: { ...init, state } satisfies WatchdogInit });
    worker.unref();
    return new Guard(new Int32Array(state));
  }

  /** Blocks until the watchdog watches. */
  ready(): void {
    if (Atomics.wait(this.#slots, WATCHING, 0, START_TIMEOUT_MS) === 'timed-out') {
      throw new Error(`the watchdog did not start within ${START_TIMEOUT_MS} ms`);
    }
  }

  /** Says that a model loads or runs from now on. */
  busy(): void {
    Atomics.store(this.#slots, BUSY, 1);
    if (Atomics.load(this.#slots, NAPPING) === 1) Atomics.notify(this.#slots, BUSY);
  }

  idle(): void {
    Atomics.store(this.#slots, BUSY, 0);
  }

  /** Resident bytes when last measured. */
  get memoryBytes(): number {
    return Atomics.load(this.#slots, RESIDENT_KIB) * 1024;
  }
}
