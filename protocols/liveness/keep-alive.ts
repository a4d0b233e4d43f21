import type { Stream } from '@libp2p/interface';
import { ConnectionError, LimitError } from '../errors.ts';
import { PeerSilence } from '../peer-silence.ts';
import { TokenBucket } from '../token-bucket.ts';

export const LIVENESS_VERSION = '1.0.0';

/** Milliseconds without a pong after which a watched peer is looked for directly: two of its pongs are missing then. */
const SILENCE_TIMEOUT_MS = 2_000;

/** Pings that one peer may send on a stream a second, and saved up: three times what a watcher sends. */
const PING_RATE = { perSecond: 5, burst: 16 };

const PING = Uint8Array.of(0);

/** `silent`: nothing came for too long; `closed`: the stream ended, which the other side may have wanted. */
export type KeepAliveLoss = 'silent' | 'closed';

export interface KeepAliveInit {
  /** Milliseconds without a sign of life. @default 2000 */
  readonly timeoutMs?: number | undefined;
  /** Called once, after the constructor has returned; not when {@link KeepAlive.close} ended it. */
  readonly onLost: (loss: KeepAliveLoss) => void;
}

/** The watcher's end: asks for a sign of life three times in each timeout, for as long as it is open. */
export class KeepAlive {
  readonly #stream: Stream;
  readonly #silence: PeerSilence;
  readonly #onLost: (loss: KeepAliveLoss) => void;
  #over = false;

  constructor(stream: Stream, { timeoutMs = SILENCE_TIMEOUT_MS, onLost }: KeepAliveInit) {
    this.#stream = stream;
    this.#onLost = onLost;
    this.#silence = new PeerSilence({
      timeoutMs,
      ping: () => this.#ping(),
      onSilent: () => this.#lost('silent'),
    });
    stream.addEventListener('message', () => this.#silence.heard());
    stream.addEventListener('close', () => this.#lost('closed'));
    this.#silence.watch();
    queueMicrotask(() => this.#ping());
  }

  /** Ends the watch. Twice is once. */
  close(): void {
    this.#end(new ConnectionError('the watch is over'));
  }

  #ping(): void {
    if (this.#over) return;
    try {
      this.#stream.send(PING);
    } catch {
      this.#lost('closed');
    }
  }

  #lost(loss: KeepAliveLoss): void {
    if (this.#over) return;
    this.#end(new ConnectionError(`keep-alive is ${loss}`));
    this.#onLost(loss);
  }

  #end(reason: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.#silence.stop();
    this.#stream.abort(reason);
  }
}

/** The watched end: gives each byte back. Resets the stream when more come than a watcher sends. */
export function handleKeepAlive(stream: Stream): void {
  const rate = new TokenBucket(PING_RATE.perSecond, PING_RATE.burst);
  stream.addEventListener('message', ({ data }) => {
    if (!rate.takeWhole(data.byteLength, performance.now())) {
      const { perSecond } = PING_RATE;
      stream.abort(new LimitError(`peer sends more than ${perSecond} pings a second`));
      return;
    }
    try {
      stream.send(data);
    } catch {
      // It closed meanwhile: nobody waits for the pong.
    }
  });
}
