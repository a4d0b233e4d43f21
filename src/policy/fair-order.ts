/** What a turn is decided by. */
export interface Turn {
  /** Who asks; each gets the same share of what callers of one priority get. */
  readonly caller: string;
  /** Higher ones come first, whoever asks. */
  readonly priority: number;
  /** Of those of one caller and priority higher ones come first; it moves nobody else. @default 0 */
  readonly ownPriority?: number | undefined;
  /** What it will take, > 0, in any unit that is the same for all. */
  readonly cost: number;
}

/** Those of one caller. */
interface Waiting<T extends Turn> {
  readonly items: OwnOrder<T>;
  /** Cost it may still take in this turn; below zero when it went along with another's. */
  credit: number;
}

/**
 * Order of those that wait: higher priority first; within one priority deficit round robin over callers (Shreedhar and Varghese,
 * 1995), so that who sends much waits behind itself; within one caller the higher of its own priorities, then first come first. Pure.
 */
export class FairOrder<T extends Turn> {
  /** By priority, never empty; few are in use at once. In each the callers, whose turn it is first. */
  readonly #lanes = new Map<number, Map<string, Waiting<T>>>();
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(item: T): void {
    const lane = this.#lanes.get(item.priority) ?? new Map<string, Waiting<T>>();
    this.#lanes.set(item.priority, lane);
    const waiting = lane.get(item.caller) ?? { items: new OwnOrder<T>(), credit: 0 };
    lane.set(item.caller, waiting);
    waiting.items.add(item);
    this.#length += 1;
  }

  /** Takes an item out; false when it is not there. */
  remove(item: T): boolean {
    const lane = this.#lanes.get(item.priority);
    const waiting = lane?.get(item.caller);
    if (lane === undefined || waiting?.items.remove(item) !== true) return false;
    this.#length -= 1;
    if (waiting.items.size > 0) return true;
    // What it saved up goes with it: an idle caller must not come back with a claim.
    lane.delete(item.caller);
    if (lane.size === 0) this.#lanes.delete(item.priority);
    return true;
  }

  /** Takes the item whose turn it is. */
  take(): T | undefined {
    const lane = this.#lanes.get(Math.max(...this.#lanes.keys()));
    if (lane === undefined) return undefined;
    // As much as the dearest, so that who owes nothing gets one within two rounds.
    const quantum = Math.max(...[...lane.values()].map(({ items }) => items.first?.cost ?? 0));
    // Rounds that nobody can use are given at once: a caller may owe for far more than the next ones cost.
    const idle = Math.min(...[...lane.values()].map((waiting) => idleRounds(waiting, quantum)));
    for (const waiting of lane.values()) waiting.credit += idle * quantum;
    for (;;) {
      const [entry] = lane;
      const head = entry === undefined ? undefined : entry[1].items.first;
      if (entry === undefined || head === undefined) return undefined;
      const [caller, waiting] = entry;
      if (waiting.credit >= head.cost) return this.#charge(head, waiting);
      waiting.credit += quantum;
      lane.delete(caller);
      lane.set(caller, waiting);
    }
  }

  /**
   * Takes one more that may go along with what was taken, the first in order that is accepted. It is charged as any other, so
   * that going along is no way past the others.
   */
  takeAlong(accepts: (item: T) => boolean): T | undefined {
    for (const priority of [...this.#lanes.keys()].sort((a, b) => b - a)) {
      for (const waiting of this.#lanes.get(priority)?.values() ?? []) {
        for (const item of waiting.items) {
          if (accepts(item)) return this.#charge(item, waiting);
        }
      }
    }
    return undefined;
  }

  #charge(item: T, waiting: Waiting<T>): T {
    waiting.credit -= item.cost;
    this.remove(item);
    return item;
  }
}

/** One caller's, by its own priorities. */
class OwnOrder<T extends Turn> {
  /** By own priority, never empty. */
  readonly #ranks = new Map<number, Set<T>>();

  get size(): number {
    let size = 0;
    for (const rank of this.#ranks.values()) size += rank.size;
    return size;
  }

  get first(): T | undefined {
    const [first] = this.#ranks.get(Math.max(...this.#ranks.keys())) ?? [];
    return first;
  }

  add(item: T): void {
    const rank = this.#ranks.get(item.ownPriority ?? 0) ?? new Set<T>();
    this.#ranks.set(item.ownPriority ?? 0, rank);
    rank.add(item);
  }

  remove(item: T): boolean {
    const rank = this.#ranks.get(item.ownPriority ?? 0);
    if (rank?.delete(item) !== true) return false;
    if (rank.size === 0) this.#ranks.delete(item.ownPriority ?? 0);
    return true;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (const priority of [...this.#ranks.keys()].sort((a, b) => b - a)) {
      yield* this.#ranks.get(priority) ?? [];
    }
  }
}

/** Whole rounds after which a caller still has not enough credit for its first item. */
function idleRounds<T extends Turn>({ items, credit }: Waiting<T>, quantum: number): number {
  const missing = (items.first?.cost ?? 0) - credit;
  return Math.max(0, Math.ceil(missing / quantum) - 1);
}
