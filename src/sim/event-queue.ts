interface Event {
  readonly atMs: number;
  /** Tells events of one moment apart: the first that was asked for comes first. */
  readonly turn: number;
  readonly action: () => void;
}

/** Time that goes from event to event: a binary heap of what is to happen. */
export class EventQueue {
  readonly #heap: Event[] = [];
  #nowMs = 0;
  #turns = 0;

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Has something happen after so many milliseconds. */
  after(delayMs: number, action: () => void): void {
    this.at(this.#nowMs + delayMs, action);
  }

  /** Has something happen at a moment, or now when that is past. */
  at(atMs: number, action: () => void): void {
    this.#turns += 1;
    const event = { atMs: Math.max(atMs, this.#nowMs), turn: this.#turns, action };
    let index = this.#heap.length;
    this.#heap.push(event);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = this.#heap[parent];
      if (above === undefined || !before(event, above)) break;
      this.#heap[index] = above;
      index = parent;
    }
    this.#heap[index] = event;
  }

  /** Lets all happen, and what comes of it, until nothing is left. */
  run(): void {
    for (let event = this.#take(); event !== undefined; event = this.#take()) {
      this.#nowMs = event.atMs;
      event.action();
    }
  }

  #take(): Event | undefined {
    const [first] = this.#heap;
    const last = this.#heap.pop();
    if (first === undefined || last === undefined || this.#heap.length === 0) return first;
    let index = 0;
    for (;;) {
      const [left, right] = [this.#heap[2 * index + 1], this.#heap[2 * index + 2]];
      if (left === undefined) break;
      const sooner = right !== undefined && before(right, left) ? right : left;
      if (!before(sooner, last)) break;
      this.#heap[index] = sooner;
      index = 2 * index + (sooner === left ? 1 : 2);
    }
    this.#heap[index] = last;
    return first;
  }
}

function before(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.turn < b.turn);
}
