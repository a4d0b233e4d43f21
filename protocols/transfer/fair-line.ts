/** Those who wait, in turns: in order of arrival for one key, round robin between keys, however many wait for one. */
export class FairLine<T> {
  /** No list is empty; the key whose turn is next comes first. */
  readonly #lists = new Map<string, T[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(key: string, item: T): void {
    const list = this.#lists.get(key);
    if (list === undefined) this.#lists.set(key, [item]);
    else list.push(item);
    this.#size += 1;
  }

  /** Whether anybody waits for a key that may be served. */
  has(mayServe: (key: string) => boolean): boolean {
    for (const key of this.#lists.keys()) if (mayServe(key)) return true;
    return false;
  }

  /** The one whose turn it is among the keys that may be served; it leaves the line. */
  shift(
    mayServe: (key: string) => boolean = () => true,
  ): { readonly key: string; readonly item: T } | undefined {
    for (const [key, list] of this.#lists) {
      if (!mayServe(key)) continue;
      const item = list.shift();
      // Deleting first moves a key that still waits to the end of the round.
      this.#lists.delete(key);
      if (list.length > 0) this.#lists.set(key, list);
      if (item === undefined) continue;
      this.#size -= 1;
      return { key, item };
    }
    return undefined;
  }
}
