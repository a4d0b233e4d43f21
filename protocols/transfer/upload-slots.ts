import { FairLine } from './fair-line.ts';

/**
 * Blocks that one node reads and sends at once over all its streams: bounds memory and disk. Those who wait take turns by
 * peer, and one peer holds a share of the slots at most, however many streams it opens.
 */
export class UploadSlots {
  readonly #perPeer: number;
  readonly #held = new Map<string, number>();
  readonly #waiting = new FairLine<() => void>();
  #free: number;

  /**
   * @param count at least 1.
   * @param perPeer what one peer holds at most, at least 1. @default count
   */
  constructor(count: number, perPeer = count) {
    this.#free = count;
    this.#perPeer = perPeer;
  }

  /** Resolves when a slot is the peer's, who gives it back with {@link release}. */
  async acquire(peer: string): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting.push(peer, resolve);
      this.#serve();
    });
  }

  release(peer: string): void {
    const held = (this.#held.get(peer) ?? 1) - 1;
    if (held === 0) this.#held.delete(peer);
    else this.#held.set(peer, held);
    this.#free += 1;
    this.#serve();
  }

  #serve(): void {
    while (this.#free > 0) {
      const next = this.#waiting.shift((peer) => (this.#held.get(peer) ?? 0) < this.#perPeer);
      if (next === undefined) return;
      this.#free -= 1;
      this.#held.set(next.key, (this.#held.get(next.key) ?? 0) + 1);
      next.item();
    }
  }
}
