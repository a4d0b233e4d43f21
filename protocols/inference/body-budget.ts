/** Bytes of request bodies that one node takes in at once by default, over all its streams. */
export const DEFAULT_BODY_BUDGET_BYTES = 512 * 1024 * 1024;

/** Memory that bodies on their way in may take, over all streams of a node: who finds no room waits for its turn. */
export class BodyBudget {
  readonly #totalBytes: number;
  #usedBytes = 0;
  readonly #waiting: { readonly bytes: number; readonly grant: () => void }[] = [];

  constructor(totalBytes: number = DEFAULT_BODY_BUDGET_BYTES) {
    this.#totalBytes = totalBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /**
   * Calls `grant`, now or when there is room, in the order of the calls. A body larger than the whole budget gets its turn
   * when nothing else is in. Returns what gives the bytes back, or the place in the line; once.
   */
  reserve(bytes: number, grant: () => void): () => void {
    let state: 'waiting' | 'granted' | 'released' = 'waiting';
    const entry = {
      bytes,
      grant: () => {
        state = 'granted';
        grant();
      },
    };
    this.#waiting.push(entry);
    this.#advance();
    return () => {
      if (state === 'released') return;
      if (state === 'granted') this.#usedBytes -= bytes;
      else this.#waiting.splice(this.#waiting.indexOf(entry), 1);
      state = 'released';
      this.#advance();
    };
  }

  #advance(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#usedBytes > 0 && this.#usedBytes + next.bytes > this.#totalBytes) return;
      this.#waiting.shift();
      this.#usedBytes += next.bytes;
      next.grant();
    }
  }
}
