import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import type { AbortOptions } from '@libp2p/interface';
import { AbstractMultiaddrConnection, type SendResult } from '@libp2p/utils';
import type { Uint8ArrayList } from 'uint8arraylist';

/**
 * Bytes that TLS may hold before the muxer waits: two chunks of a body. More, and a small request waits behind all of it, and
 * the other side for all of it to be encrypted before the first of it comes (600 KiB: p50 a tenth more at 256 KiB, bench/README.md).
 */
const HIGH_WATER_BYTES = 128 * 1024;

/**
 * What goes through TLS over a TCP connection of libp2p, as libp2p's muxers want it. The writes of one turn of the event
 * loop are one write.
 *
 * Whichever of the three ends (this, the socket, the connection), all do. Closing either of libp2p's two sends what was
 * written first; aborting either resets the connection at once.
 */
export class TlsStream extends AbstractMultiaddrConnection {
  /** Hears what comes in place of `message` listeners; must not throw. What had to be kept still comes as an event. */
  onBytes: ((bytes: Buffer) => void) | undefined;
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
    socket.on('data', (bytes: Buffer) => {
      const direct = this.readStatus === 'readable' && this.readBufferLength === 0;
      if (this.onBytes !== undefined && direct) this.onBytes(bytes);
      else this.onData(bytes);
    });
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

  /**
   * Sends nothing once it is closed, where libp2p throws: a muxer writes in timers and listeners too, as when a stream that was paused
   * goes on, and what it throws there ends the process. Its streams hear of the close by themselves.
   */
  override send(data: Uint8Array | Uint8ArrayList): boolean {
    return this.writeStatus === 'writable' && super.send(data);
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
    this.#cork();
    for (const bytes of data) this.#socket.write(bytes);
    return { sentBytes: data.byteLength, canSendMore: this.#hasRoom };
  }

  /** True when {@link write} may be called: nothing waits before it. */
  get idle(): boolean {
    return (
      this.writeStatus === 'writable' &&
      !this.writableNeedsDrain &&
      !this.sendingData &&
      this.writeBufferLength === 0
    );
  }

  /** Sends bytes without libp2p's buffers between; false when a `drain` must come before the next. Only while {@link idle}. */
  write(pieces: readonly Uint8Array[]): boolean {
    if (pieces.length > 1) this.#cork();
    for (const bytes of pieces) this.#socket.write(bytes);
    this.writableNeedsDrain = !this.#hasRoom;
    return !this.writableNeedsDrain;
  }

  get #hasRoom(): boolean {
    // Above Node's own mark, so that a `drain` follows whenever there is no room.
    return this.#socket.writableLength < HIGH_WATER_BYTES;
  }

  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
    process.nextTick(this.#uncork);
  }

  readonly #uncork = (): void => {
    this.#corked = false;
    this.#socket.uncork();
  };
}
