/** What happens; the argument that goes with it says to whom. */
export const EVENT = {
  /** The next request for a version comes. */
  arrival: 0,
  /** A request reaches its node. */
  reach: 1,
  /** A node is done with what it ran. */
  done: 2,
  /** A request is to choose again. */
  again: 3,
  /** A node looks at its plan. */
  tick: 4,
  /** A load that was begun is over. */
  loaded: 5,
  /** Clients hear of a change of a version's replicas. */
  heard: 6,
  /** Something planned from outside: a death, a join. */
  incident: 7,
  /** A second is over and is booked. */
  second: 8,
  /** A node has heard that a version lacks replicas, and knows of it what it needs to. */
  noticed: 9,
  /** A node looks whether there is news of what it is asked for. */
  tell: 10,
  /** What is ordered instead of planned. */
  order: 11,
} as const;

export type EventKind = (typeof EVENT)[keyof typeof EVENT];

const KINDS = 16;
const FIRST_ROOM = 1_024;

/**
 * Time that goes from event to event: a binary heap in typed arrays, for tens of millions of events. Those of one moment happen
 * in the order in which they were asked for.
 */
export class Timeline {
  #atMs = new Float64Array(FIRST_ROOM);
  #turn = new Float64Array(FIRST_ROOM);
  #what = new Float64Array(FIRST_ROOM);
  #length = 0;
  #turns = 0;
  nowMs = 0;
  /** Of the event that {@link next} took. */
  kind: EventKind = EVENT.arrival;
  argument = 0;

  /** Events that happened. */
  count = 0;

  /** Has something happen at a moment, or now when that is past. */
  at(atMs: number, kind: EventKind, argument: number): void {
    if (this.#length === this.#atMs.length) this.#grow();
    this.#turns += 1;
    const when = Math.max(atMs, this.nowMs);
    let index = this.#length;
    this.#length += 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#isBefore(when, this.#turns, parent)) break;
      this.#move(parent, index);
      index = parent;
    }
    this.#put(index, when, this.#turns, argument * KINDS + kind);
  }

  after(delayMs: number, kind: EventKind, argument: number): void {
    this.at(this.nowMs + delayMs, kind, argument);
  }

  /** Takes the next event and goes to its moment; false when that is past the end, or there is none. */
  next(untilMs: number): boolean {
    const atMs = this.#atMs[0] ?? 0;
    if (this.#length === 0 || atMs > untilMs) return false;
    this.nowMs = atMs;
    const what = this.#what[0] ?? 0;
    this.kind = (what % KINDS) as EventKind;
    this.argument = Math.floor(what / KINDS);
    this.count += 1;
    this.#dropFirst();
    return true;
  }

  #dropFirst(): void {
    this.#length -= 1;
    const last = this.#length;
    const [atMs, turn, what] = [
      this.#atMs[last] ?? 0,
      this.#turn[last] ?? 0,
      this.#what[last] ?? 0,
    ];
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= last) break;
      const right = child + 1;
      if (right < last && this.#isBefore(this.#atMs[right] ?? 0, this.#turn[right] ?? 0, child)) {
        child = right;
      }
      if (this.#isBefore(atMs, turn, child)) break;
      this.#move(child, index);
      index = child;
    }
    this.#put(index, atMs, turn, what);
  }

  #isBefore(atMs: number, turn: number, index: number): boolean {
    const otherMs = this.#atMs[index] ?? 0;
    return atMs < otherMs || (atMs === otherMs && turn < (this.#turn[index] ?? 0));
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#atMs[from] ?? 0, this.#turn[from] ?? 0, this.#what[from] ?? 0);
  }

  #put(index: number, atMs: number, turn: number, what: number): void {
    this.#atMs[index] = atMs;
    this.#turn[index] = turn;
    this.#what[index] = what;
  }

  #grow(): void {
    const grown = (old: Float64Array): Float64Array<ArrayBuffer> => {
      const room = new Float64Array(2 * old.length);
      room.set(old);
      return room;
    };
    this.#atMs = grown(this.#atMs);
    this.#turn = grown(this.#turn);
    this.#what = grown(this.#what);
  }
}
