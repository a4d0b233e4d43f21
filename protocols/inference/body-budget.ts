import { IdTable } from '../id-table.ts';
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
  readonly line: CallerLine;
  /** Place in the order of all that came. */
  readonly place: number;
}

/** What one caller has of the budget, and its bodies that wait, first come first. */
interface CallerLine {
  heldBytes: number;
  readonly waiting: Entry[];
}

/**
 * Memory that bodies on their way in may take, over all streams of a node: who finds no room waits for its turn. While somebody
 * waits, a body that comes too slowly is sent away.
 *
 * A caller may have as much as it leaves free: half of the budget while it is alone, a third each where there are two, so that
 * one who comes anew always finds room. Whoever has least is next, and nobody gets past it.
 *
 * @see Choudhury and Hahne, Dynamic queue length thresholds for shared-memory packet switches, 1998
 */
export class BodyBudget {
  readonly #totalBytes: number;
  readonly #paceMs: number;
  readonly #windowMs: number;
  #usedBytes = 0;
  #places = 0;
  /** By caller, or by the entry itself where none is named. Only those that have something or wait. */
  readonly #lines = new Map<unknown, CallerLine>();
  /** Whose turn it is that finds no room; undefined when all that may go on have. */
  #blocked: Entry | undefined;
  /** Those that have their room, by the place of their entry in 32 bits. */
  readonly #holders = new IdTable<PacedHolder>();
  readonly #watch: PaceWatch;

  constructor(totalBytes: number = DEFAULT_BODY_BUDGET_BYTES, options: BodyBudgetOptions = {}) {
    const { paceMs = BODY_PACE_MS, windowMs = PACE_WINDOW_MS } = options;
    this.#totalBytes = totalBytes;
    this.#paceMs = paceMs;
    this.#windowMs = windowMs;
    this.#watch = new PaceWatch({
      holders: () => this.#holders.entries().map(([, holder]) => holder),
      contended: () => this.#blocked !== undefined,
      windowMs,
    });
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /**
   * Calls `grant`, now or when there is room; the bodies of one caller in the order of the calls. A body larger than the whole
   * budget gets its turn when nothing else is in, one larger than its caller's share when that has nothing else in. Returns what
   * gives the bytes back, or the place in the line; once.
   *
   * @param arrival how the body comes, and whose it is; without, it is never too slow, and a caller's only one
   */
  reserve(bytes: number, grant: () => void, arrival?: BodyArrival): () => void {
    let state: 'waiting' | 'granted' | 'released' = 'waiting';
    const caller: unknown = arrival?.caller ?? Symbol('a caller who is not named');
    const line = this.#lines.get(caller) ?? { heldBytes: 0, waiting: [] };
    this.#lines.set(caller, line);
    this.#places += 1;
    const entry: Entry = {
      bytes,
      arrival,
      line,
      place: this.#places,
      grant: () => {
        state = 'granted';
        grant();
      },
    };
    line.waiting.push(entry);
    this.#advance();
    return () => {
      if (state === 'released') return;
      this.#holders.delete(entry.place >>> 0);
      if (state === 'granted') {
        this.#usedBytes -= bytes;
        line.heldBytes -= bytes;
      } else line.waiting.splice(line.waiting.indexOf(entry), 1);
      state = 'released';
      if (line.heldBytes === 0 && line.waiting.length === 0) this.#lines.delete(caller);
      this.#advance();
    };
  }

  #advance(): void {
    this.#blocked = undefined;
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      if (this.#usedBytes > 0 && this.#usedBytes + next.bytes > this.#totalBytes) {
        this.#blocked = next;
        return this.#watch.look();
      }
      next.line.waiting.shift();
      next.line.heldBytes += next.bytes;
      this.#usedBytes += next.bytes;
      if (next.arrival !== undefined)
        this.#holders.set(next.place >>> 0, this.#holder(next.bytes, next.arrival));
      next.grant();
    }
  }

  /** Of each caller's first that is within its share, that of the caller who has least; of equals the one that came first. */
  #next(): Entry | undefined {
    let next: Entry | undefined;
    for (const { heldBytes, waiting } of this.#lines.values()) {
      const [first] = waiting;
      if (first === undefined || !this.#withinShare(first)) continue;
      const least = next?.line.heldBytes ?? Number.POSITIVE_INFINITY;
      if (heldBytes > least || (heldBytes === least && first.place > (next?.place ?? 0))) continue;
      next = first;
    }
    return next;
  }

  #withinShare({ bytes, line: { heldBytes } }: Entry): boolean {
    return heldBytes === 0 || heldBytes + bytes <= this.#totalBytes - this.#usedBytes - bytes;
  }

  #keepsOthersOut({ caller }: BodyArrival): boolean {
    return this.#blocked !== undefined && this.#blocked.arrival?.caller !== caller;
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
