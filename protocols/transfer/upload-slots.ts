/** Blocks that one node reads and sends at once over all its streams: bounds memory and disk, first come first served. */
export class UploadSlots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** @param count at least 1. */
  constructor(count: number) {
    this.#free = count;
  }

  /** Resolves when a slot is the caller's, who gives it back with {@link release}. */
  async acquire(): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  release(): void {
    const next = this.#waiting.shift();
    // The slot passes straight to whoever waited longest.
    if (next === undefined) this.#free += 1;
    else next();
  }
}
