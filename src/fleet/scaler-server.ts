import { Server, ServerCredentials } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { formatAddress, type ListenAddress } from '../swarm/listen-address.ts';
import type { ExternalScaler } from './external-scaler.ts';
import { loadScalerDefinition, SCALER_SERVICE } from './scaler-definition.ts';

/** Bytes of a message: KEDA sends the name of an object and its metadata. */
const MAX_MESSAGE_BYTES = 64 * 1024;

/** Bytes of a call's metadata. */
const MAX_METADATA_BYTES = 16 * 1024;

/** Calls of one connection that are open at once; further ones wait at their client. */
const MAX_CALLS = 128;

/** A connection is asked every minute whether its client lives, and closed when nothing comes: frozen programs and dead hosts say no goodbye. */
const KEEPALIVE_MS = 60_000;
const KEEPALIVE_TIMEOUT_MS = 20_000;

/** Milliseconds that calls in flight have once the server is told to end. */
const CLOSE_TIMEOUT_MS = 1_000;

/** Serves KEDA's external scaler on a port of its own, where there is no other gRPC. It is plain HTTP/2 and asks for no key: it says one number. */
export class ScalerServer {
  readonly #listen: ListenAddress;
  readonly #scaler: ExternalScaler;
  readonly #server: Server;

  constructor(listen: ListenAddress, scaler: ExternalScaler) {
    this.#listen = listen;
    this.#scaler = scaler;
    this.#server = new Server({
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_metadata_size': MAX_METADATA_BYTES,
      'grpc.max_concurrent_streams': MAX_CALLS,
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    });
    const { messages, service } = loadScalerDefinition();
    this.#server.addService(service, scaler.implementation);
    new ReflectionService(messages, { services: [SCALER_SERVICE] }).addToServer(this.#server);
  }

  /** Resolves with the address in use. @throws the system's error when it cannot listen. */
  async start(): Promise<ListenAddress> {
    const address = formatAddress(this.#listen);
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    return { host: this.#listen.host, port };
  }

  /** Ends the streams, gives other calls a second, and resolves when nothing is open. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    this.#scaler.close();
    const timer = setTimeout(() => this.#server.forceShutdown(), CLOSE_TIMEOUT_MS);
    await closed;
    clearTimeout(timer);
  }
}
