import { setTimeout as delay } from 'node:timers/promises';
import { DEFAULT_DEADLINE_MS } from '../client/client-init.ts';
import { ApiKeys } from './api-keys.ts';
import { DEFAULT_MAX_BODY_BYTES } from './gateway-defaults.ts';
import { checkGatewayInit, checkPublic, type GatewayInit } from './gateway-init.ts';
import { GatewayMetrics } from './gateway-metrics.ts';
import { GrpcHealth } from './grpc-health.ts';
import { GrpcServer } from './grpc-server.ts';
import { GrpcService } from './grpc-service.ts';
import { HttpServer } from './http-server.ts';
import { InferenceService } from './inference-service.ts';
import { InferenceStatistics } from './inference-statistics.ts';
import type { ListenAddress } from './listen-address.ts';
import { MetricsServer } from './metrics-server.ts';
import { ModelDirectory } from './model-directory.ts';
import { OpenAiApi } from './openai-api.ts';
import { Readiness } from './readiness.ts';
import { RestApi } from './rest-api.ts';
import { SwarmAccess } from './swarm-access.ts';

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
  readonly #access: SwarmAccess;
  readonly #readiness: Readiness;
  readonly #service: InferenceService;
  readonly #http: HttpServer | undefined;
  readonly #grpc: GrpcServer | undefined;
  readonly #metrics: MetricsServer | undefined;
  #ended: Promise<void> | undefined;

  constructor(parts: GatewayParts, addresses: GatewayAddresses) {
    this.addresses = addresses;
    this.#access = parts.access;
    this.#readiness = parts.readiness;
    this.#service = parts.service;
    this.#http = parts.http;
    this.#grpc = parts.grpc;
    this.#metrics = parts.metrics;
  }

  get ready(): boolean {
    return this.#readiness.ready;
  }

  /**
   * Ends in order: says that it is not ready, serves on until those who send have heard of it, accepts nothing more, finishes what is
   * in flight, and leaves the swarm.
   */
  async drain({ delayMs, timeoutMs }: DrainOptions): Promise<void> {
    this.#readiness.drain();
    this.#ended ??= this.#end(delayMs, timeoutMs);
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain({ delayMs: 0, timeoutMs: 0 });
  }

  async #end(delayMs: number, timeoutMs: number): Promise<void> {
    await delay(delayMs);
    const late = new AbortController();
    const timer = delay(timeoutMs, undefined, { signal: late.signal }).then(
      () => {
        this.#http?.abort();
        this.#grpc?.abort();
      },
      // Everything was finished in time.
      () => undefined,
    );
    await Promise.all([this.#http?.close(), this.#grpc?.close()]);
    await this.#service.idle();
    late.abort();
    await timer;
    await this.#readiness.stop();
    await this.#metrics?.close();
    await this.#access.stop();
  }
}

interface GatewayParts {
  readonly access: SwarmAccess;
  readonly readiness: Readiness;
  readonly service: InferenceService;
  readonly http: HttpServer | undefined;
  readonly grpc: GrpcServer | undefined;
  readonly metrics: MetricsServer | undefined;
}

/**
 * Starts a gateway and resolves once it listens; the swarm is joined in the background.
 *
 * @throws {ERR_CONFIG} when it would serve strangers without keys, or a setting is out of range.
 * @throws {ERR_STORE} when the file of keys is damaged. The system's error when an address cannot be listened on.
 */
export async function startGateway(init: GatewayInit): Promise<Gateway> {
  const { logger, maxBodyBytes = DEFAULT_MAX_BODY_BYTES, insecure = false } = init;
  checkGatewayInit({ ...init, maxBodyBytes });
  const keys = new ApiKeys(init.keyFile);
  checkPublic([init.http, init.grpc, init.metrics], { hasKeys: await keys.required(), insecure });
  const access = new SwarmAccess(init.connect, (error) =>
    logger.warn({ err: error }, 'the swarm cannot be joined yet'),
  );
  const directory = new ModelDirectory(access, { publishers: init.publishers ?? new Map() });
  const readiness = new Readiness(access, directory, { requireModels: init.requireModels ?? [] });
  const metrics = new GatewayMetrics({
    ready: () => readiness.ready,
    draining: () => readiness.draining,
  });
  const statistics = new InferenceStatistics();
  const deadlineMs = init.deadlineMs ?? DEFAULT_DEADLINE_MS;
  const service = new InferenceService({ access, directory, statistics, metrics, deadlineMs });
  const { version } = init;
  const api = new RestApi({ access, directory, service, statistics, readiness, version });
  const http =
    init.http &&
    new HttpServer(
      { listen: init.http, maxBodyBytes },
      { api, openai: new OpenAiApi(access, directory), keys, readiness, logger },
    );
  const grpc =
    init.grpc &&
    new GrpcServer(
      { listen: init.grpc, maxBodyBytes },
      new GrpcService({
        ...{ access, directory, service, statistics, readiness, keys, version },
        onFailure: ({ kind, message }, error) => {
          if (kind === 'internal') logger.error({ kind, err: error }, message);
          else logger.debug({ kind }, message);
        },
      }),
      new GrpcHealth(readiness),
    );
  const metricsServer = init.metrics && new MetricsServer(init.metrics, metrics);
  const parts = { access, readiness, service, http, grpc, metrics: metricsServer };
  try {
    const addresses = {
      http: await http?.start(),
      grpc: await grpc?.start(),
      metrics: await metricsServer?.start(),
    };
    access.start();
    readiness.start();
    return new Gateway(parts, addresses);
  } catch (error) {
    await http?.close();
    grpc?.abort();
    throw error;
  }
}
