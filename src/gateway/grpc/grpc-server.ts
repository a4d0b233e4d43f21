import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import type { ExternalScaler } from '../../fleet/external-scaler.ts';
import { SCALER_SERVICE } from '../../fleet/scaler-definition.ts';
import { formatAddress, type ListenAddress } from '../../swarm/listen-address.ts';
import type { TlsFiles } from '../access/tls-files.ts';
import { ReloadedCredentials } from './grpc-credentials.ts';
import { HEALTH_SERVICE, INFERENCE_SERVICE, loadDefinitions } from './grpc-definition.ts';
import type { GrpcHealth } from './grpc-health.ts';
import type { GrpcService } from './grpc-service.ts';
import { handOverUnread } from './unread-message.ts';

/** Bytes of a call's metadata. */
const MAX_METADATA_BYTES = 16 * 1024;

/** Bytes by which a message may be larger than the tensors in it. */
const MESSAGE_OVERHEAD_BYTES = 1024 * 1024;

/** Calls of one connection that are open at once; further ones wait at their client. */
const MAX_STREAMS = 1024;

/** A connection is asked every minute whether its client lives, and closed when nothing comes: frozen programs and dead hosts say no goodbye. */
const KEEPALIVE_MS = 60_000;
const KEEPALIVE_TIMEOUT_MS = 20_000;

export interface GrpcServerInit {
  readonly listen: ListenAddress;
  /** Bytes of a request's tensors. */
  readonly maxBodyBytes: number;
  /** The certificate it shows; undefined for plain HTTP/2. */
  readonly tls: TlsFiles | undefined;
  /** Says how many nodes there are to be; undefined where nobody asks. */
  readonly scaler?: ExternalScaler | undefined;
}

/** The gRPC side of the gateway: its services on one port, and their end. */
export class GrpcServer {
  readonly #server: Server;
  readonly #listen: ListenAddress;
  readonly #credentials: ServerCredentials;
  readonly #service: GrpcService;
  readonly #health: GrpcHealth;
  readonly #scaler: ExternalScaler | undefined;

  constructor(
    { listen, maxBodyBytes, tls, scaler }: GrpcServerInit,
    service: GrpcService,
    health: GrpcHealth,
  ) {
    this.#listen = listen;
    this.#credentials =
      tls === undefined ? ServerCredentials.createInsecure() : new ReloadedCredentials(tls);
    this.#service = service;
    this.#health = health;
    this.#scaler = scaler;
    this.#server = new Server({
      // The library's own bound of 4 MiB is less than a few pictures.
      'grpc.max_receive_message_length': maxBodyBytes + MESSAGE_OVERHEAD_BYTES,
      'grpc.max_send_message_length': -1,
      'grpc.max_metadata_size': MAX_METADATA_BYTES,
      'grpc.max_concurrent_streams': MAX_STREAMS,
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    });
    const definitions = loadDefinitions();
    this.#server.addService(
      handOverUnread(definitions[INFERENCE_SERVICE] as ServiceDefinition),
      service.implementation,
    );
    this.#server.addService(
      handOverUnread(definitions[HEALTH_SERVICE] as ServiceDefinition),
      health.implementation,
    );
    const services = [INFERENCE_SERVICE, HEALTH_SERVICE];
    if (scaler !== undefined) {
      const service = definitions[SCALER_SERVICE] as ServiceDefinition;
      this.#server.addService(service, scaler.implementation);
      services.push(SCALER_SERVICE);
    }
    new ReflectionService(definitions, { services }).addToServer(this.#server);
  }

  /** Resolves with the address in use. @throws the system's error when it cannot listen. */
  async start(): Promise<ListenAddress> {
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(formatAddress(this.#listen), this.#credentials, (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    return { host: this.#listen.host, port };
  }

  /** Accepts no new calls, tells clients to go elsewhere, and resolves when all that is in flight has ended. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    this.#health.close();
    this.#scaler?.close();
    await this.#service.drain();
    await closed;
  }

  /** Ends what {@link close} still waits for. */
  abort(): void {
    this.#server.forceShutdown();
  }
}
