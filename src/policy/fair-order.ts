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
  readonly caller: string;
  readonly items: OwnOrder<T>;
  /** Cost it may still take in this turn; below zero when it went along with another's. */
  credit: number;
}

/** Those of one priority: the callers, none without items, whose turn it is first. */
interface Lane<T extends Turn> {
  readonly priority: number;
  readonly callers: Waiting<T>[];
}

/**
 * Order of those that wait: higher priority first; within one priority deficit round robin over callers (Shreedhar and Varghese,
 * 1995), so that who sends much waits behind itself; within one caller the higher of its own priorities, then first come first. Pure.
 *
 * All in arrays: what waits is hundreds at most, and sets whose members come and go hold on to them (`protocols/id-table.ts`).
 */
export class FairOrder<T extends Turn> {
  /** The highest priority first, none empty; few are in use at once. */
  readonly #lanes: Lane<T>[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(item: T): void {
    const { callers } = rankOf(this.#lanes, item.priority, (priority) => ({
      priority,
      callers: [],
    }));
    let waiting = callers.find(({ caller }) => caller === item.caller);
    if (waiting === undefined) {
      waiting = { caller: item.caller, items: new OwnOrder<T>(), credit: 0 };
      callers.push(waiting);
    }
    waiting.items.add(item);
    this.#length += 1;
  }

  /** Takes an item out; false when it is not there. */
  remove(item: T): boolean {
    const laneIndex = this.#lanes.findIndex(({ priority }) => priority === item.priority);
    const callers = this.#lanes[laneIndex]?.callers ?? [];
    const index = callers.findIndex(({ caller }) => caller === item.caller);
    const items = callers[index]?.items;
    if (items?.remove(item) !== true) return false;
    this.#length -= 1;
    if (items.first !== undefined) return true;
    // What it saved up goes with it: an idle caller must not come back with a claim.
    callers.splice(index, 1);
    if (callers.length === 0) this.#lanes.splice(laneIndex, 1);
    return true;
  }

  /** Takes the item whose turn it is. */
  take(): T | undefined {
    const callers = this.#lanes[0]?.callers;
    if (callers === undefined) return undefined;
    // As much as the dearest, so that who owes nothing gets one within two rounds.
    let quantum = 0;
    for (const { items } of callers) quantum = Math.max(quantum, items.first?.cost ?? 0);
    // Rounds that nobody can use are given at once: a caller may owe for far more than the next ones cost.
    let idle = Number.POSITIVE_INFINITY;
    for (const waiting of callers) idle = Math.min(idle, idleRounds(waiting, quantum));
    if (idle > 0) for (const waiting of callers) waiting.credit += idle * quantum;
    for (;;) {
      const [waiting] = callers;
      const head = waiting?.items.first;
      if (waiting === undefined || head === undefined) return undefined;
      if (waiting.credit >= head.cost) return this.#charge(head, waiting);
      waiting.credit += quantum;
      callers.shift();
      callers.push(waiting);
    }
  }

  /**
   * Takes one more that may go along with what was taken, the first in order that is accepted. It is charged like the others, so
   * that going along is no way past the others.
   */
  takeAlong(accepts: (item: T) => boolean): T | undefined {
    for (const { callers } of this.#lanes) {
      for (const waiting of callers) {
        const item = waiting.items.find(accepts);
        if (item !== undefined) return this.#charge(item, waiting);
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

/** Those of one caller that have one of its own priorities, first come first. */
interface Rank<T> {
  readonly priority: number;
  readonly items: T[];
}

/** One caller's, by its own priorities. */
class OwnOrder<T extends Turn> {
  /** The highest first, none empty. */
  readonly #ranks: Rank<T>[] = [];

  get first(): T | undefined {
    return this.#ranks[0]?.items[0];
  }

  add(item: T): void {
    const own = item.ownPriority ?? 0;
    rankOf(this.#ranks, own, (priority) => ({ priority, items: [] })).items.push(item);
  }

  remove(item: T): boolean {
    const own = item.ownPriority ?? 0;
    const rankIndex = this.#ranks.findIndex(({ priority }) => priority === own);
    const items = this.#ranks[rankIndex]?.items ?? [];
    const index = items.indexOf(item);
    if (index < 0) return false;
    items.splice(index, 1);
    if (items.length === 0) this.#ranks.splice(rankIndex, 1);
    return true;
  }

  /** The first in order that is accepted. */
  find(accepts: (item: T) => boolean): T | undefined {
    for (const { items } of this.#ranks) {
      const found = items.find(accepts);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/** The one of a priority among those that are in order, the highest first; made and put in its place where there is none. */
function rankOf<R extends { readonly priority: number }>(
  ranks: R[],
  priority: number,
  create: (priority: number) => R,
): R {
  const index = ranks.findIndex((rank) => rank.priority <= priority);
  const found = ranks[index];
  if (found?.priority === priority) return found;
  const created = create(priority);
  ranks.splice(index < 0 ? ranks.length : index, 0, created);
  return created;
}

/** Whole rounds after which a caller still has not enough credit for its first item. */
function idleRounds<T extends Turn>({ items, credit }: Waiting<T>, quantum: number): number {
  const missing = (items.first?.cost ?? 0) - credit;
  return Math.max(0, Math.ceil(missing / quantum) - 1);
}
