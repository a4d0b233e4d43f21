import { constants, type ServerHttp2Stream } from 'node:http2';

/** The calls of the library hold the stream that HTTP/2 has for them, and have no word for it. */
interface HeldStream {
  readonly call?: { readonly stream?: ServerHttp2Stream };
}

export interface CallReaderInit {
  /** Milliseconds for which the caller may take nothing of what it is answered. */
  readonly timeoutMs: number;
  /** Told before the call is reset. */
  readonly onLate: () => void;
}

/**
 * Who reads the answers of one call. When it takes nothing for too long, the stream is reset: the library only ends a call behind all
 * that was written to it, and would hold the memory of what nobody reads for as long as the connection lives. The time is that of the
 * whole connection, as HTTP/2 counts it.
 */
export class CallReader {
  readonly #stream: ServerHttp2Stream | undefined;
  readonly #onLate: () => void;

  /** @param call one of the library, of one answer or of many */
  constructor(call: object, { timeoutMs, onLate }: CallReaderInit) {
    this.#stream = (call as HeldStream).call?.stream;
    this.#onLate = onLate;
    this.#stream?.setTimeout(timeoutMs, () => {
      // It is also told of a call that only waits, for its model or for its next request.
      if (this.#stream !== undefined && this.#stream.writableLength > 0) this.drop();
    });
  }

  /**
   * Resets the call, of which its caller hears RESOURCE_EXHAUSTED, by this code of HTTP/2.
   *
   * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#errors
   */
  drop(): void {
    if (this.#stream === undefined || this.#stream.closed) return;
    this.#onLate();
    this.#stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }
}
