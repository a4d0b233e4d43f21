import { Socket } from 'node:net';
import { connect, TLSSocket } from 'node:tls';
import {
  type ConnectionEncrypter,
  InvalidCryptoExchangeError,
  type MessageStream,
  type SecureConnectionOptions,
  type SecuredConnection,
  type StreamMessageEvent,
  type StreamMuxerFactory,
  serviceCapabilities,
} from '@libp2p/interface';
import type { TLSComponents } from '@libp2p/tls';
import { AbstractMultiaddrConnection } from '@libp2p/utils';
import { ConnectionError } from '../../protocols/errors.ts';
import { raced } from './raced.ts';
import { PeerCertificate, type TlsCertificate } from './tls-certificate.ts';
import { TlsStream } from './tls-stream.ts';

/** Milliseconds for a handshake whose caller sets no bound of its own; libp2p's upgrader always does. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** What libp2p's TLS says in place of a muxer when that is negotiated after the handshake. */
const NO_MUXER = 'libp2p';

/**
 * `/tls/1.0.0`, the same bytes on the wire as `@libp2p/tls`, with Node's TLS straight on the TCP socket.
 *
 * The stock module puts it on a JavaScript stream: every record crosses JSStreamSocket, and every chunk waits for a `drain`.
 * Measured at 600 KiB a request: half the client's CPU, a third less of the server's (bench/README.md). Certificates are
 * checked by the stock module's functions; over anything but TCP all of the work is its own. It is loaded at the first
 * handshake: its certificate library is a fourth of what importing the client costs.
 *
 * @see https://github.com/libp2p/specs/blob/master/tls/tls.md
 */
export function nativeTls(): (components: TLSComponents) => ConnectionEncrypter {
  return (components) => new NativeTls(components);
}

class NativeTls implements ConnectionEncrypter {
  readonly protocol = '/tls/1.0.0';
  readonly [serviceCapabilities] = ['@libp2p/connection-encryption'];
  readonly [Symbol.toStringTag] = 'gpu-swarm/native-tls';
  readonly #components: TLSComponents;
  readonly #certificate: PeerCertificate;
  #stock: ConnectionEncrypter | undefined;

  constructor(components: TLSComponents) {
    this.#components = components;
    this.#certificate = new PeerCertificate(components.privateKey);
  }

  async secureInbound(connection: MessageStream, options: SecureConnectionOptions = {}) {
    return isOverTcp(connection)
      ? this.#secure(connection, true, options)
      : (await this.#fallback()).secureInbound(connection, options);
  }

  async secureOutbound(connection: MessageStream, options: SecureConnectionOptions = {}) {
    return isOverTcp(connection)
      ? this.#secure(connection, false, options)
      : (await this.#fallback()).secureOutbound(connection, options);
  }

  async #fallback(): Promise<ConnectionEncrypter> {
    const { tls } = await import('@libp2p/tls');
    this.#stock ??= tls()(this.#components);
    return this.#stock;
  }

  async #secure(
    connection: TcpConnection,
    isServer: boolean,
    options: SecureConnectionOptions,
  ): Promise<SecuredConnection> {
    const { signal = AbortSignal.timeout(HANDSHAKE_TIMEOUT_MS) } = options;
    const muxers =
      options.skipStreamMuxerNegotiation === true
        ? new Map<string, StreamMuxerFactory>()
        : this.#components.upgrader.getStreamMuxers();
    const failure = new AbortController();
    const ended = AbortSignal.any([signal, failure.signal]);
    try {
      const certificate = await raced(this.#certificate.get(), signal);
      const read = await takeSocket(connection);
      const socket = startTls(connection, read, {
        isServer,
        certificate,
        protocols: [...muxers.keys(), NO_MUXER],
      });
      // For as long as the socket lives: an error that nobody hears would end the process.
      socket.on('error', (error) => {
        failure.abort(error);
        connection.abort(error);
      });
      socket.once('close', () => failure.abort(new ConnectionError('peer ended the handshake')));
      const { promise: secure, resolve: onSecure } = Promise.withResolvers<void>();
      socket.once('secure', onSecure);
      await raced(secure, ended);
      const remotePeer = await raced(verifiedPeer(socket, options, connection), ended);
      const streamMuxer = chosenMuxer(socket, muxers);
      return {
        remotePeer,
        connection: new TlsStream(connection, socket),
        ...(streamMuxer === undefined ? {} : { streamMuxer }),
      };
    } catch (cause) {
      const error = cause instanceof Error ? cause : new ConnectionError(String(cause));
      connection.abort(error);
      throw error;
    }
  }
}

/** libp2p's connection over TCP, which holds its socket in what TypeScript alone calls private. */
type TcpConnection = AbstractMultiaddrConnection & { readonly socket: Socket };

function isOverTcp(connection: MessageStream): connection is TcpConnection {
  const { socket } = connection as { readonly socket?: unknown };
  return connection instanceof AbstractMultiaddrConnection && socket instanceof Socket;
}

/** Makes libp2p's connection read its socket no more; gives what was read beyond the negotiation. */
async function takeSocket(connection: TcpConnection): Promise<Uint8Array[]> {
  connection.socket.removeAllListeners('data');
  connection.socket.pause();
  const read: Uint8Array[] = [];
  const onMessage = ({ data }: StreamMessageEvent): void => {
    read.push(data.subarray());
  };
  connection.addEventListener('message', onMessage);
  // libp2p hands out what it holds in a microtask after the first listener comes.
  await new Promise<void>((resolve) => queueMicrotask(resolve));
  connection.removeEventListener('message', onMessage);
  return read;
}

interface TlsInit {
  readonly isServer: boolean;
  readonly certificate: TlsCertificate;
  readonly protocols: string[];
}

/** Without a pause in it: a socket that is destroyed before TLS knows it would never say so. */
function startTls(
  { socket, status, readBufferLength }: TcpConnection,
  read: readonly Uint8Array[],
  { isServer, certificate, protocols }: TlsInit,
): TLSSocket {
  if (status !== 'open' || socket.destroyed) {
    throw new ConnectionError('peer ended the connection before the handshake');
  }
  if (readBufferLength > 0) {
    throw new ConnectionError(
      `${readBufferLength} bytes of the handshake were left with libp2p, expected none`,
    );
  }
  for (const bytes of read.toReversed()) socket.unshift(bytes);
  const options = {
    ...certificate,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    // Certificates are self-signed: `verifiedPeer` checks what one says of its peer. TLS has checked that the peer has its key.
    rejectUnauthorized: false,
    ALPNProtocols: protocols,
  } as const;
  const secured = isServer
    ? new TLSSocket(socket, { ...options, isServer, requestCert: true })
    : connect({ ...options, socket });
  destroyFirst(secured, socket);
  return secured;
}

/**
 * Whoever destroys the TCP socket (libp2p does, when it resets a connection or stops listening), TLS goes first: used after
 * the handle under it, it ends the process with a segmentation fault (Node 20 to 24).
 */
function destroyFirst(secured: TLSSocket, socket: Socket): void {
  const destroy = socket._destroy.bind(socket);
  socket._destroy = (error, callback) => {
    secured.destroy();
    destroy(error, callback);
  };
}

async function verifiedPeer(
  socket: TLSSocket,
  { remotePeer }: SecureConnectionOptions,
  { log }: MessageStream,
): Promise<SecuredConnection['remotePeer']> {
  // Typed as if there always were one; a peer may send none.
  const { raw } = socket.getPeerCertificate() as { readonly raw?: Buffer };
  if (raw === undefined) {
    throw new InvalidCryptoExchangeError('peer showed no certificate, expected one with its key');
  }
  const { verifyPeerCertificate } = await import('@libp2p/tls/utils');
  return verifyPeerCertificate(raw, remotePeer, log);
}

/** The muxer both sides have agreed on in the handshake; undefined when it is negotiated after it. */
function chosenMuxer(
  { alpnProtocol }: TLSSocket,
  muxers: ReadonlyMap<string, StreamMuxerFactory>,
): StreamMuxerFactory | undefined {
  if (typeof alpnProtocol !== 'string' || alpnProtocol === NO_MUXER) return undefined;
  const muxer = muxers.get(alpnProtocol);
  if (muxer === undefined) {
    throw new InvalidCryptoExchangeError('peer chose a muxer that was not offered');
  }
  return muxer;
}
