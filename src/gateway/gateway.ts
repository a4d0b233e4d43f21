import { setTimeout as delay } from 'node:timers/promises';
import { ConfigError } from '../../protocols/errors.ts';
import { formatAddress, type ListenAddress } from '../swarm/listen-address.ts';
import type { GatewayInit } from './gateway-init.ts';
import { createGatewayParts, type GatewayParts } from './gateway-parts.ts';

export interface DrainOptions {
  /** Milliseconds for which requests are still taken, while readiness says no. */
  readonly delayMs: number;
  /** Milliseconds that what is in flight then has; after them it is cut off. */
  readonly timeoutMs: number;
}

/** Where the gateway listens; what is off is undefined. */
export interface GatewayAddresses {
  readonly http: ListenAddress | undefined;
  readonly grpc: ListenAddress | undefined;
  readonly metrics: ListenAddress | undefined;
}

/** Gives the swarm the face of one inference server. */
export class Gateway implements AsyncDisposable {
  readonly addresses: GatewayAddresses;
  readonly #parts: GatewayParts;
  #ended: Promise<void> | undefined;

  constructor(parts: GatewayParts, addresses: GatewayAddresses) {
    this.addresses = addresses;
    this.#parts = parts;
  }

  /** True when HTTP and gRPC are over TLS. */
  get tls(): boolean {
    return this.#parts.tls !== undefined;
  }

  get ready(): boolean {
    return this.#parts.readiness.ready;
  }

  /**
   * Ends in order: says that it is not ready, serves on until those who send have heard of it, accepts nothing more, finishes what is
   * in flight, and leaves the swarm.
   */
  async drain({ delayMs, timeoutMs }: DrainOptions): Promise<void> {
    this.#parts.readiness.drain();
    this.#ended ??= this.#end(delayMs, timeoutMs);
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain({ delayMs: 0, timeoutMs: 0 });
  }

  async #end(delayMs: number, timeoutMs: number): Promise<void> {
    const { access, readiness, service, embeddings } = this.#parts;
    const { tls, spans, http, grpc, metrics } = this.#parts;
    await this.#parts.provisioner?.stop();
    await this.#parts.fleet?.stop();
    await delay(delayMs);
    const late = new AbortController();
    const timer = delay(timeoutMs, undefined, { signal: late.signal }).then(
      () => {
        http?.abort();
        grpc?.abort();
      },
      // Everything was finished in time.
      () => undefined,
    );
    await Promise.all([http?.close(), grpc?.close()]);
    await service.idle();
    await embeddings[Symbol.asyncDispose]();
    late.abort();
    await timer;
    await tls?.stop();
    await spans?.stop();
    await readiness.stop();
    await metrics?.close();
    await access.stop();
  }
}

/**
 * Starts a gateway and resolves once it listens; the swarm is joined in the background.
 *
 * @throws {ERR_CONFIG | ERR_STORE} as {@link createGatewayParts}, and ERR_CONFIG when an address cannot be listened on.
 */
export async function startGateway(init: GatewayInit): Promise<Gateway> {
  const parts = await createGatewayParts(init);
  const { http, grpc, metrics, access, readiness, tls } = parts;
  try {
    const addresses = {
      http: await listenOn(init.http, http),
      grpc: await listenOn(init.grpc, grpc),
      metrics: await listenOn(init.metrics, metrics),
    };
    access.start();
    readiness.start();
    parts.fleet?.start();
    tls?.start();
    return new Gateway(parts, addresses);
  } catch (error) {
    await http?.close();
    grpc?.abort();
    throw error;
  }
}

/** @throws {ERR_CONFIG} when the system does not let it, for the port is taken or not for this user. */
async function listenOn(
  address: ListenAddress | undefined,
  server: { start(): Promise<ListenAddress> } | undefined,
): Promise<ListenAddress | undefined> {
  if (address === undefined) return undefined;
  try {
    return await server?.start();
  } catch (cause) {
    throw new ConfigError(
      `cannot listen on ${formatAddress(address)}: ${(cause as Error).message}`,
      { cause },
    );
  }
}
