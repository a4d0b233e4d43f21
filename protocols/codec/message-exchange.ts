import * as dagCbor from '@ipld/dag-cbor';
import type { Stream } from '@libp2p/interface';
import { lpStream } from '@libp2p/utils';
import { ConnectionError, InvalidMessageError, isSwarmError } from '../errors.ts';

export interface MessageExchangeInit {
  /** Bytes of one received message; a longer one resets the stream. */
  readonly maxMessageBytes: number;
}

/** Length-prefixed dag-cbor messages both ways over one stream: for exchanges that are not on the request path. */
export class MessageExchange {
  readonly #stream: Stream;
  readonly #messages: ReturnType<typeof lpStream<Stream>>;

  constructor(stream: Stream, init: MessageExchangeInit) {
    this.#stream = stream;
    this.#messages = lpStream(stream, {
      maxDataLength: init.maxMessageBytes,
      maxBufferSize: 2 * init.maxMessageBytes + 16,
    });
  }

  /**
   * Sends one message; resolves when the stream has taken it.
   *
   * @throws {ERR_CONNECTION} when the stream fails first.
   */
  async write(message: unknown, signal: AbortSignal): Promise<void> {
    try {
      await this.#messages.write(dagCbor.encode(message), { signal });
    } catch (cause) {
      throw this.#failed(cause, signal);
    }
  }

  /**
   * Reads the next message; the caller checks its form.
   *
   * @throws {ERR_INVALID_MESSAGE} when it is too long or not dag-cbor.
   * @throws {ERR_CONNECTION} when the stream ends or fails first.
   */
  async read(signal: AbortSignal): Promise<unknown> {
    let bytes: Uint8Array;
    try {
      bytes = (await this.#messages.read({ signal })).subarray();
    } catch (cause) {
      throw this.#failed(cause, signal);
    }
    try {
      return dagCbor.decode(bytes);
    } catch (cause) {
      throw new InvalidMessageError(`${this.#stream.protocol} message is not dag-cbor`, { cause });
    }
  }

  /** Ends our side after what was written. */
  async close(signal: AbortSignal): Promise<void> {
    try {
      await this.#stream.close({ signal });
    } catch (cause) {
      this.abort(cause);
    }
  }

  /** Resets the stream at once. */
  abort(cause: unknown): void {
    this.#stream.abort(cause instanceof Error ? cause : new ConnectionError(String(cause)));
  }

  #failed(cause: unknown, signal: AbortSignal): unknown {
    if (signal.aborted) return signal.reason;
    if (isSwarmError(cause)) return cause;
    const name = cause instanceof Error ? cause.name : '';
    if (name.startsWith('InvalidDataLength') || name === 'InvalidMessageLengthError') {
      return new InvalidMessageError(`${this.#stream.protocol} message is longer than its bound`, {
        cause,
      });
    }
    return new ConnectionError(
      `${this.#stream.protocol} stream ended before the message was complete`,
      {
        cause,
      },
    );
  }
}
