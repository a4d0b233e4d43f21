import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import type { AbortOptions } from '@libp2p/interface';
import { AbstractMultiaddrConnection, type SendResult } from '@libp2p/utils';
import type { Uint8ArrayList } from 'uint8arraylist';

/** Bytes that TLS may hold before the muxer waits: a body of less, an image for one, never waits for its own encryption. */
const HIGH_WATER_BYTES = 1024 * 1024;

/**
 * What goes through TLS over a TCP connection of libp2p, as libp2p's muxers want it. The writes of one turn of the event
 * loop are one write.
 *
 * Whichever of the three ends (this, the socket, the connection), all do. Closing either of libp2p's two sends what was
 * written first; aborting either resets the connection at once.
 */
export class TlsStream extends AbstractMultiaddrConnection {
  readonly #connection: AbstractMultiaddrConnection;
  readonly #socket: TLSSocket;
  /** True until the end of the turn in which something was written. */
  #corked = false;

  /** @param connection whose TCP socket is under `socket` and read by nobody else. */
  constructor(connection: AbstractMultiaddrConnection, socket: TLSSocket) {
    super({
      remoteAddr: connection.remoteAddr,
      direction: connection.direction,
      log: connection.log,
      inactivityTimeout: connection.inactivityTimeout,
      maxReadBufferLength: connection.maxReadBufferLength,
    });
    this.#connection = connection;
    this.#socket = socket;
    socket.on('data', (bytes: Buffer) => this.onData(bytes));
    socket.on('drain', () => this.safeDispatchEvent('drain'));
    // Without half-open sockets a peer that has ended reads nothing more: what we still hold for it is of no use.
    socket.once('end', () => connection.onTransportClosed());
    connection.addEventListener('close', ({ error, local }) => {
      socket.destroy();
      if (error === undefined) this.onTransportClosed();
      else if (local === true) this.abort(error);
      else this.onRemoteReset();
    });
    // libp2p closes the connection below: only through here does what TLS holds still go out.
    connection.sendClose = async (options) => this.close(options);
  }

  override async sendClose(options: AbortOptions = {}): Promise<void> {
    const { signal } = options;
    if (this.#socket.closed) return;
    this.#socket.destroySoon();
    await once(this.#socket, 'close', signal === undefined ? {} : { signal });
  }

  override sendReset(error: Error): void {
    this.#connection.abort(error);
    this.#socket.destroy();
  }

  override sendPause(): void {
    this.#socket.pause();
  }

  override sendResume(): void {
    this.#socket.resume();
  }

  override sendData(data: Uint8ArrayList): SendResult {
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      process.nextTick(this.#uncork);
    }
    for (const bytes of data) this.#socket.write(bytes);
    // Above Node's own mark, so that a `drain` follows whenever there is no room.
    return {
      sentBytes: data.byteLength,
      canSendMore: this.#socket.writableLength < HIGH_WATER_BYTES,
    };
  }

  readonly #uncork = (): void => {
    this.#corked = false;
    this.#socket.uncork();
  };
}
