import { DEFAULT_DEADLINE_MS } from '../client/client-init.ts';
import { ExternalScaler } from '../fleet/external-scaler.ts';
import { FleetSizer } from '../fleet/fleet-sizer.ts';
import { checkProvisionHook } from '../fleet/hook-check.ts';
import { takeGrpcLog } from '../fleet/grpc-log.ts';
import { Provisioner } from '../fleet/provisioner.ts';
import { MetricsServer } from '../swarm/metrics-server.ts';
import { SpanExporter } from '../swarm/span-exporter.ts';
import { ApiKeys } from './access/api-keys.ts';
import { RestrictedGroups, readRestrictions } from './access/restricted-groups.ts';
import { TlsFiles } from './access/tls-files.ts';
import { EmbeddingService } from './embedding/embedding-service.ts';
import { DEFAULT_MAX_BODY_BYTES, DEFAULT_READER_TIMEOUT_MS } from './gateway-defaults.ts';
import { checkGatewayInit, checkPublic, type GatewayInit } from './gateway-init.ts';
import { GrpcHealth } from './grpc/grpc-health.ts';
import { answerRequestId } from './grpc/grpc-request-id.ts';
import { GrpcServer } from './grpc/grpc-server.ts';
import { GrpcService } from './grpc/grpc-service.ts';
import { InferenceService } from './inference-service.ts';
import { GatewayMetrics } from './metrics/gateway-metrics.ts';
import { InferenceStatistics } from './metrics/inference-statistics.ts';
import { ModelDirectory } from './models/model-directory.ts';
import { ModelRepository } from './models/model-repository.ts';
import { Readiness } from './readiness.ts';
import { ResponseCache } from './response-cache.ts';
import { HttpServer } from './rest/http-server.ts';
import { OpenAiApi } from './rest/openai-api.ts';
import { RestApi } from './rest/rest-api.ts';
import { SwarmAccess } from './swarm-access.ts';

/** What a gateway is made of, none of it started. */
export interface GatewayParts {
  readonly access: SwarmAccess;
  readonly readiness: Readiness;
  readonly service: InferenceService;
  readonly embeddings: EmbeddingService;
  readonly tls: TlsFiles | undefined;
  readonly spans: SpanExporter | undefined;
  readonly http: HttpServer | undefined;
  readonly grpc: GrpcServer | undefined;
  readonly metrics: MetricsServer | undefined;
  readonly fleet: FleetSizer | undefined;
  readonly provisioner: Provisioner | undefined;
}

/**
 * Puts a gateway together. It reads files and listens nowhere yet.
 *
 * @throws {ERR_CONFIG} when it would serve strangers without keys, a setting is out of range, or a file or program is not there.
 * @throws {ERR_STORE} when the file of keys is damaged.
 */
export async function createGatewayParts(init: GatewayInit): Promise<GatewayParts> {
  const { logger, version, maxBodyBytes = DEFAULT_MAX_BODY_BYTES, insecure = false } = init;
  const { readerTimeoutMs = DEFAULT_READER_TIMEOUT_MS } = init;
  checkGatewayInit({ ...init, maxBodyBytes, readerTimeoutMs });
  await checkProvisionHook(init.provision);
  const keys = new ApiKeys(init.keyFile);
  checkPublic([init.http, init.grpc, init.metrics], { hasKeys: await keys.required(), insecure });
  const tls =
    init.tls &&
    (await TlsFiles.open(init.tls, (error) =>
      logger.warn({ err: error }, 'the new certificate is not taken, the old one is still shown'),
    ));
  const restricted =
    init.restrictFile === undefined
      ? new RestrictedGroups()
      : await readRestrictions(init.restrictFile);
  const access = new SwarmAccess(init.connect, (error) =>
    logger.warn({ err: error }, 'the swarm cannot be joined yet'),
  );
  const directory = new ModelDirectory(access, { publishers: init.publishers ?? new Map() });
  const readiness = new Readiness(access, directory, { requireModels: init.requireModels ?? [] });
  const cache = init.cache && new ResponseCache(init.cache);
  const fleet =
    init.fleet &&
    new FleetSizer(() => access.joined?.watchFleet(), {
      ...init.fleet,
      onFailure: (error) => logger.warn({ err: error }, 'the need for nodes is not known for now'),
    });
  const provisioner =
    fleet && init.provision !== undefined
      ? new Provisioner(fleet, {
          ...{ hook: init.provision, logger },
          joinLease: (lease) => access.joined?.joinProvisionLease(lease),
        })
      : undefined;
  const state = {
    fleet: () => fleet?.order,
    ready: () => readiness.ready,
    draining: () => readiness.draining,
    cacheBytes: () => cache?.bytes ?? 0,
  };
  const metrics = new GatewayMetrics(state, init.metricsCompat);
  const statistics = new InferenceStatistics();
  const deadlineMs = init.deadlineMs ?? DEFAULT_DEADLINE_MS;
  const spans =
    init.otlp === undefined
      ? undefined
      : new SpanExporter({
          ...{ endpoint: init.otlp, service: 'gpu-swarm-gateway', attributes: {} },
          onFailure: (error, lost) => logger.warn({ err: error, lost }, 'spans cannot be sent'),
        });
  const service = new InferenceService({
    ...{ spans, access, directory, statistics, metrics, cache, deadlineMs },
  });
  const repository = new ModelRepository(access, directory);
  const known = { access, directory, repository, service, statistics, readiness, version };
  const api = new RestApi(known);
  const embeddings = new EmbeddingService({ access, directory, service, deadlineMs });
  const openai = new OpenAiApi({ access, directory, embeddings });
  const http =
    init.http &&
    new HttpServer(
      { listen: init.http, maxBodyBytes, readerTimeoutMs, tls },
      { api, openai, keys, restricted, readiness, logger },
    );
  if (init.grpc !== undefined) takeGrpcLog(logger);
  const grpc =
    init.grpc &&
    new GrpcServer(
      {
        listen: init.grpc,
        maxBodyBytes,
        tls,
        scaler: fleet && new ExternalScaler(fleet, { onCall: answerRequestId }),
      },
      new GrpcService({
        ...{ ...known, keys, restricted, readerTimeoutMs },
        onFailure: ({ kind, message }, error, requestId) => {
          if (kind === 'internal') logger.error({ requestId, kind, err: error }, message);
          else logger.debug({ requestId, kind }, message);
        },
      }),
      new GrpcHealth(readiness, restricted),
    );
  const metricsServer = init.metrics && new MetricsServer(init.metrics, metrics);
  return {
    ...{ access, readiness, service, embeddings, tls, spans, http, grpc, fleet, provisioner },
    metrics: metricsServer,
  };
}
