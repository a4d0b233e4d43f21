import { BODY_PACE_MS, PACE_WINDOW_MS } from '../limits.ts';
import { Pace, type PacedHolder, PaceWatch } from '../pace.ts';

/** Bytes of request bodies that one node takes in at once by default, over all its streams. */
export const DEFAULT_BODY_BUDGET_BYTES = 512 * 1024 * 1024;

/** A body that comes from elsewhere, and that others may have to wait for. */
export interface BodyArrival {
  /** Who sends it: its own bodies that wait are nobody else's trouble. */
  readonly caller: string;
  /** Bytes of it that are here. */
  receivedBytes(): number;
  /** It must give its room up: others wait for room, and it came at so many bytes a second. */
  tooSlow(bytesPerSecond: number, minBytesPerSecond: number): void;
}

export interface BodyBudgetOptions {
  /** Milliseconds in which a body must come whole, at the rate it comes, while others wait. @default BODY_PACE_MS of docs/limits.md */
  readonly paceMs?: number | undefined;
  /** Milliseconds over which that rate is measured. @default PACE_WINDOW_MS of docs/limits.md */
  readonly windowMs?: number | undefined;
}

interface Entry {
  readonly bytes: number;
  readonly grant: () => void;
  readonly arrival: BodyArrival | undefined;
}

/**
 * Memory that bodies on their way in may take, over all streams of a node: who finds no room waits for its turn. While somebody
 * waits, a body that comes too slowly is sent away.
 */
export class BodyBudget {
  readonly #totalBytes: number;
  readonly #paceMs: number;
  readonly #windowMs: number;
  #usedBytes = 0;
  readonly #waiting: Entry[] = [];
  /** Those that have their room. */
  readonly #holders = new Map<Entry, PacedHolder>();
  readonly #watch: PaceWatch;

  constructor(totalBytes: number = DEFAULT_BODY_BUDGET_BYTES, options: BodyBudgetOptions = {}) {
    const { paceMs = BODY_PACE_MS, windowMs = PACE_WINDOW_MS } = options;
    this.#totalBytes = totalBytes;
    this.#paceMs = paceMs;
    this.#windowMs = windowMs;
    this.#watch = new PaceWatch({
      holders: () => this.#holders.values(),
      contended: () => this.#waiting.length > 0,
      windowMs,
    });
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /**
   * Calls `grant`, now or when there is room, in the order of the calls. A body larger than the whole budget gets its turn
   * when nothing else is in. Returns what gives the bytes back, or the place in the line; once.
   *
   * @param arrival how the body comes; without, it is never too slow
   */
  reserve(bytes: number, grant: () => void, arrival?: BodyArrival): () => void {
    let state: 'waiting' | 'granted' | 'released' = 'waiting';
    const entry: Entry = {
      bytes,
      arrival,
      grant: () => {
        state = 'granted';
        grant();
      },
    };
    this.#waiting.push(entry);
    this.#advance();
    return () => {
      if (state === 'released') return;
      this.#holders.delete(entry);
      if (state === 'granted') this.#usedBytes -= bytes;
      else this.#waiting.splice(this.#waiting.indexOf(entry), 1);
      state = 'released';
      this.#advance();
    };
  }

  #advance(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#usedBytes > 0 && this.#usedBytes + next.bytes > this.#totalBytes) {
        return this.#watch.look();
      }
      this.#waiting.shift();
      this.#usedBytes += next.bytes;
      if (next.arrival !== undefined)
        this.#holders.set(next, this.#holder(next.bytes, next.arrival));
      next.grant();
    }
  }

  #keepsOthersOut({ caller }: BodyArrival): boolean {
    return this.#waiting.some(({ arrival }) => arrival?.caller !== caller);
  }

  #holder(bytes: number, arrival: BodyArrival): PacedHolder {
    const minBytesPerSecond = Math.ceil((bytes / this.#paceMs) * 1000);
    const pace = new Pace({ minBytesPerSecond, windowMs: this.#windowMs });
    const nowMs = performance.now();
    pace.wait(nowMs);
    pace.restart(arrival.receivedBytes(), nowMs);
    return {
      pace,
      movedBytes: () => arrival.receivedBytes(),
      tooSlow: (bytesPerSecond) => {
        // What is all here holds its room until it is answered, for which nobody waits at the other end.
        if (arrival.receivedBytes() >= bytes) pace.proceed(performance.now());
        else if (this.#keepsOthersOut(arrival)) arrival.tooSlow(bytesPerSecond, minBytesPerSecond);
      },
    };
  }
}
