/** A map of at most so many entries. One that is set goes to the end, and the first of all makes room. */
export class BoundedMap<K, V> extends Map<K, V> {
  readonly #maxEntries: number;

  constructor(maxEntries: number) {
    super();
    this.#maxEntries = maxEntries;
  }

  override set(key: K, value: V): this {
    this.delete(key);
    super.set(key, value);
    const first = this.keys().next();
    if (this.size > this.#maxEntries && first.done !== true) this.delete(first.value);
    return this;
  }
}
