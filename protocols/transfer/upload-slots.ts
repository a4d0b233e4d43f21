import { MIN_UPLOAD_BYTES_PER_SECOND, PACE_WINDOW_MS } from '../limits.ts';
import { type PacedHolder, type PaceInit, PaceWatch } from '../pace.ts';
import { FairLine } from './fair-line.ts';

/** Who holds slots: one stream of a peer. */
export interface SlotHolder extends PacedHolder {
  readonly peer: string;
}

/**
 * Blocks that one node reads and sends at once over all its streams: bounds memory and disk. Those who wait take turns by
 * peer, and one peer holds a share of the slots at most, however many streams it opens. A stream that takes what it asked for
 * too slowly loses its slots to those who wait.
 */
export class UploadSlots {
  /** What a holder must keep while others wait. */
  readonly pace: Required<PaceInit>;
  readonly #perPeer: number;
  readonly #held = new Map<string, number>();
  /** Slots of each stream that has some. */
  readonly #holders = new Map<SlotHolder, number>();
  readonly #waiting = new FairLine<() => void>();
  readonly #watch: PaceWatch;
  #free: number;

  /**
   * @param count at least 1.
   * @param perPeer what one peer holds at most, at least 1. @default count
   * @param pace @default MIN_UPLOAD_BYTES_PER_SECOND over PACE_WINDOW_MS
   */
  constructor(count: number, perPeer = count, pace: Partial<PaceInit> = {}) {
    this.#free = count;
    this.#perPeer = perPeer;
    const { minBytesPerSecond = MIN_UPLOAD_BYTES_PER_SECOND, windowMs = PACE_WINDOW_MS } = pace;
    this.pace = { minBytesPerSecond, windowMs };
    this.#watch = new PaceWatch({
      holders: () => this.#holders.keys(),
      contended: () => this.#waiting.has((peer) => this.#mayHold(peer)),
      windowMs,
    });
  }

  /** Resolves when a slot is the holder's, who gives it back with {@link release}. */
  async acquire(holder: SlotHolder): Promise<void> {
    const { peer } = holder;
    await new Promise<void>((resolve) => {
      this.#waiting.push(peer, () => {
        this.#grant(holder);
        resolve();
      });
      this.#serve();
    });
  }

  release(holder: SlotHolder): void {
    const { peer } = holder;
    countDown(this.#held, peer);
    countDown(this.#holders, holder);
    this.#free += 1;
    this.#serve();
  }

  #grant(holder: SlotHolder): void {
    const slots = this.#holders.get(holder) ?? 0;
    if (slots === 0) holder.pace.restart(holder.movedBytes(), performance.now());
    this.#holders.set(holder, slots + 1);
  }

  #mayHold(peer: string): boolean {
    return (this.#held.get(peer) ?? 0) < this.#perPeer;
  }

  #serve(): void {
    while (this.#free > 0) {
      const next = this.#waiting.shift((peer) => this.#mayHold(peer));
      if (next === undefined) return;
      this.#free -= 1;
      this.#held.set(next.key, (this.#held.get(next.key) ?? 0) + 1);
      next.item();
    }
    this.#watch.look();
  }
}

function countDown<K>(counts: Map<K, number>, key: K): void {
  const left = (counts.get(key) ?? 1) - 1;
  if (left === 0) counts.delete(key);
  else counts.set(key, left);
}
