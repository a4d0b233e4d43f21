/** Places of a new table; a power of two, as is every size it grows to. */
const INITIAL_PLACES = 16;

/**
 * What is under way, by numbers that are used once: all of it in two arrays, by open addressing, which a number in the order of
 * its neighbours finds at once.
 *
 * A `Map` whose entries come and go makes a table anew every few of them, and in V8 each old table points to the next one, for
 * iterators that may be at it. Once a dead one of them has been moved to the old space, all that follow stay until all of the
 * heap is collected, and every request that ever stood in one with them: at 64 B and 32 in flight a quarter of all that was
 * allocated, and half of the requests/s (bench/README.md).
 *
 * Not for more than some thousand entries whose numbers a peer chooses: at worst each look is at all of them.
 */
export class IdTable<V extends object> {
  #ids = new Uint32Array(INITIAL_PLACES);
  /** Undefined where a place is free. At most half of them are taken. */
  #values: (V | undefined)[] = emptyPlaces(INITIAL_PLACES);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(id: number): boolean {
    return this.get(id) !== undefined;
  }

  /** @param id a whole number of 32 bits */
  get(id: number): V | undefined {
    return this.#values[this.#find(id)];
  }

  set(id: number, value: V): void {
    const place = this.#find(id);
    if (this.#values[place] !== undefined) {
      this.#values[place] = value;
      return;
    }
    this.#ids[place] = id;
    this.#values[place] = value;
    this.#size += 1;
    if (2 * this.#size > this.#values.length) this.#grow();
  }

  delete(id: number): void {
    let hole = this.#find(id);
    if (this.#values[hole] === undefined) return;
    this.#size -= 1;
    const mask = this.#values.length - 1;
    // What stands behind moves up, where that is no further from its own place: a look ends at the first free one.
    for (let place = (hole + 1) & mask; this.#values[place] !== undefined; ) {
      const home = (this.#ids[place] ?? 0) & mask;
      if (((place - home) & mask) >= ((place - hole) & mask)) {
        this.#ids[hole] = this.#ids[place] ?? 0;
        this.#values[hole] = this.#values[place];
        hole = place;
      }
      place = (place + 1) & mask;
    }
    this.#values[hole] = undefined;
  }

  /** All entries that are there now, in no order; they may be deleted meanwhile. */
  entries(): [id: number, value: V][] {
    return this.#values.flatMap((value, place): [number, V][] =>
      value === undefined ? [] : [[this.#ids[place] ?? 0, value]],
    );
  }

  /** The place of a number, or the free one where it belongs. */
  #find(id: number): number {
    const mask = this.#values.length - 1;
    let place = id & mask;
    while (this.#values[place] !== undefined && this.#ids[place] !== id) place = (place + 1) & mask;
    return place;
  }

  #grow(): void {
    const entries = this.entries();
    const places = 2 * this.#values.length;
    this.#ids = new Uint32Array(places);
    this.#values = emptyPlaces(places);
    for (const [id, value] of entries) {
      const place = this.#find(id);
      this.#ids[place] = id;
      this.#values[place] = value;
    }
  }
}

function emptyPlaces<V>(count: number): (V | undefined)[] {
  return Array.from({ length: count }, () => undefined);
}
