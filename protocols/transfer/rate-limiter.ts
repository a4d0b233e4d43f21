import { FairLine } from './fair-line.ts';
import { GivenBlocks } from './given-blocks.ts';
import { MAX_PIECE_BYTES } from './message.ts';
import { TokenBucket } from '../token-bucket.ts';

/** The least limit that is taken: below it a block of 2 MiB takes longer than a fetch waits for one. */
export const MIN_RATE_BYTES = 64 * 1024;

/** Seconds of the rate that may be saved up. */
const BURST_SECONDS = 0.25;

/** A piece is at most what this part of a second lets through: many who wait each hear something soon. */
const PIECES_PER_SECOND = 16;

interface Waiter {
  readonly bytes: number;
  readonly go: () => void;
}

/**
 * Holds the bytes of a whole process to a rate. Those who wait take turns by peer; what was begun is ended before the next
 * begins, for a block is of no use to anybody before its last byte.
 */
export class RateLimiter {
  readonly #bucket: TokenBucket;
  readonly #begun = new FairLine<Waiter>();
  readonly #waiting = new FairLine<Waiter>();
  #timer: NodeJS.Timeout | undefined;
  /** What went through a moment ago. */
  readonly given = new GivenBlocks();
  /** Bytes to be sent in one piece, so that turns are short. */
  readonly pieceBytes: number;

  /** @param bytesPerSecond at least {@link MIN_RATE_BYTES}. */
  constructor(bytesPerSecond: number) {
    this.#bucket = new TokenBucket(bytesPerSecond, bytesPerSecond * BURST_SECONDS);
    this.pieceBytes = Math.min(MAX_PIECE_BYTES, Math.ceil(bytesPerSecond / PIECES_PER_SECOND));
  }

  /** Resolves when so many bytes may move for a peer; `begun` when they go on with what others wait for behind. */
  async take(peer: string, bytes: number, begun = false): Promise<void> {
    await new Promise<void>((go) => {
      const line = begun ? this.#begun : this.#waiting;
      line.push(peer, { bytes, go });
      if (this.#timer === undefined) this.#serve();
    });
  }

  /** Gives back bytes that did not move after all. */
  refund(bytes: number): void {
    this.#bucket.add(bytes);
    clearTimeout(this.#timer);
    this.#serve();
  }

  #serve(): void {
    this.#timer = undefined;
    while (this.#begun.size + this.#waiting.size > 0) {
      const waitMs = this.#bucket.waitMs(performance.now());
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#serve(), waitMs);
        return;
      }
      const next = this.#begun.shift() ?? this.#waiting.shift();
      if (next === undefined) return;
      this.#bucket.take(next.item.bytes, performance.now());
      next.item.go();
    }
  }
}
