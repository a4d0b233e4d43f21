/** The values of a label, of which there are at most so many: further ones are all `other`. */
export class BoundedLabels {
  readonly #maxValues: number;
  readonly #values = new Set<string>();

  constructor(maxValues: number) {
    this.#maxValues = maxValues;
  }

  /** The value itself, or `other`. */
  of(value: string): string {
    if (this.#values.has(value)) return value;
    if (this.#values.size >= this.#maxValues) return 'other';
    this.#values.add(value);
    return value;
  }
}
