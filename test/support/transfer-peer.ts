import type { Stream } from '@libp2p/interface';
import type { Uint8ArrayList } from 'uint8arraylist';
import { vi } from 'vitest';
import { frameMessage, readMessages } from '../../protocols/transfer/message-stream.ts';

const WAIT = { interval: 2, timeout: 5_000 };
const MAX_MESSAGE_BYTES = 1024 * 1024;

/** One end of a transfer stream that says what a test tells it to, right or wrong. */
export class TransferPeer {
  readonly stream: Stream;
  /** What came, without the lengths in front. */
  readonly messages: Uint8ArrayList[] = [];

  constructor(stream: Stream) {
    this.stream = stream;
    void this.#read();
  }

  send(...messages: readonly (Uint8Array | Uint8ArrayList)[]): void {
    for (const message of messages) this.stream.send(frameMessage(message));
  }

  /** The first messages, once as many came. */
  async heard(count: number): Promise<Uint8ArrayList[]> {
    return vi.waitFor(() => {
      if (this.messages.length >= count) return this.messages.slice(0, count);
      throw new Error(`${this.messages.length} of ${count} messages came`);
    }, WAIT);
  }

  /** Resolves once the other end has reset the stream. */
  async reset(): Promise<void> {
    await vi.waitFor(() => {
      if (this.stream.status !== 'reset') throw new Error(`stream is ${this.stream.status}`);
    }, WAIT);
  }

  async #read(): Promise<void> {
    try {
      for await (const message of readMessages(this.stream, MAX_MESSAGE_BYTES)) {
        this.messages.push(message);
      }
    } catch {
      // The test looks at the stream's status.
    }
  }
}
