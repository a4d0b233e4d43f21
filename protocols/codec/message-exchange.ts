import * as dagCbor from '@ipld/dag-cbor';
import type { Stream } from '@libp2p/interface';
import { lpStream } from '@libp2p/utils';
import type { Uint8ArrayList } from 'uint8arraylist';
import { ConnectionError, InvalidMessageError, isSwarmError } from '../errors.ts';

/** Bytes of the varint before a message: lengths up to 256 MiB. */
const MAX_LENGTH_BYTES = 4;

export interface MessageExchangeInit {
  /** Bytes of one received message; a longer one resets the stream. */
  readonly maxMessageBytes: number;
}

/** What libp2p calls a message over its bound, and what was sent beyond the message that is read. */
const TOO_LONG = new Set([
  'InvalidDataLengthError',
  'InvalidDataLengthLengthError',
  'InvalidMessageLengthError',
  'StreamBufferError',
]);

/** Length-prefixed dag-cbor messages both ways over one stream: for exchanges that are not on the request path. */
export class MessageExchange {
  readonly #stream: Stream;
  readonly #messages: ReturnType<typeof lpStream<Stream>>;

  constructor(stream: Stream, init: MessageExchangeInit) {
    this.#stream = stream;
    this.#messages = lpStream(stream, {
      maxDataLength: init.maxMessageBytes,
      maxBufferSize: 2 * init.maxMessageBytes + 16,
      lengthDecoder: decodeLength,
    });
  }

  /**
   * Sends one message; resolves when the stream has taken it.
   *
   * @throws {ERR_CONNECTION} when the stream fails first.
   */
  async write(message: unknown, signal: AbortSignal): Promise<void> {
    const bytes = dagCbor.encode(message);
    try {
      await this.#messages.write(bytes, { signal });
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
    if (TOO_LONG.has(name)) {
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

/** An unsigned varint. libp2p's own decoder would go on for as long as a peer sends bytes that say "more follows". */
function decodeLength(bytes: Uint8ArrayList): number {
  let length = 0;
  for (let index = 0; index < MAX_LENGTH_BYTES; index += 1) {
    // Past the last byte this throws a RangeError, upon which libp2p waits for another.
    const byte = bytes.get(index);
    length += (byte & 0x7f) * 128 ** index;
    if (byte < 0x80) return length;
  }
  throw new InvalidMessageError(`length of a message has more than ${MAX_LENGTH_BYTES} bytes`);
}
