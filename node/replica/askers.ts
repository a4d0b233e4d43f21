/** The peers that asked for a version: each has it, or knows who does. */
export class Askers {
  readonly #ids = new Set<string>();
  #arrival = Promise.withResolvers<void>();

  get ids(): readonly string[] {
    return [...this.#ids];
  }

  add(id: string): void {
    this.#ids.add(id);
    this.#arrival.resolve();
    this.#arrival = Promise.withResolvers<void>();
  }

  /** Resolves when somebody asks. */
  next(): Promise<void> {
    return this.#arrival.promise;
  }
}
