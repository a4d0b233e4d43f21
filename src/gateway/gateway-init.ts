import type { Logger } from 'pino';
import { ConfigError } from '../../protocols/errors.ts';
import { MAX_BODY_BYTES } from '../../protocols/limits.ts';
import type { PublisherId } from '../../protocols/types.ts';
import { checkFleetInit, type FleetInit } from '../fleet/fleet-init.ts';
import { formatAddress, isLoopback, type ListenAddress } from '../swarm/listen-address.ts';
import type { TlsInit } from './access/tls-files.ts';
import type { MetricsCompat } from './metrics/gateway-metrics.ts';
import type { ResponseCacheInit } from './response-cache.ts';
import type { GatewayClient } from './swarm-access.ts';

/** Milliseconds that a client may be waited for at most: an hour. */
const MAX_READER_TIMEOUT_MS = 3_600_000;

export interface GatewayInit {
  /** Joins the swarm; called again when it fails, and closed with the gateway. */
  readonly connect: (signal: AbortSignal) => Promise<GatewayClient>;
  /** Where HTTP is served; undefined for nowhere. */
  readonly http?: ListenAddress | undefined;
  /** Where gRPC is served; undefined for nowhere. */
  readonly grpc?: ListenAddress | undefined;
  /** Where Prometheus reads metrics; undefined for nowhere. */
  readonly metrics?: ListenAddress | undefined;
  /** Under whose names too the metrics can be had. @default [] */
  readonly metricsCompat?: readonly MetricsCompat[] | undefined;
  /** What the server says its version is. */
  readonly version: string;
  readonly logger: Logger;
  /** Publishers by petname. @default none */
  readonly publishers?: ReadonlyMap<string, PublisherId> | undefined;
  /** Models without which the gateway is not ready; without any, some model must be served. @default [] */
  readonly requireModels?: readonly string[] | undefined;
  /** The certificate that HTTP and gRPC show, read again when it changes. @default none: both are plain */
  readonly tls?: TlsInit | undefined;
  /** File of API keys; with any key in it, every request but a probe needs one. @default none */
  readonly keyFile?: string | undefined;
  /** Which models' answers are kept, and how many bytes of them. @default none are */
  readonly cache?: ResponseCacheInit | undefined;
  /** Address of an OpenTelemetry collector that gets the requests' spans. @default none */
  readonly otlp?: string | undefined;
  /** How many nodes there may be, for engines that start and stop them: KEDA over gRPC, Prometheus, {@link provision}. @default nobody is told */
  readonly fleet?: FleetInit | undefined;
  /** Who is told how many nodes there are to be: an address that gets a POST, or a program. @default nobody */
  readonly provision?: string | undefined;
  /** File of groups of the API that need a certain header. @default none do */
  readonly restrictFile?: string | undefined;
  /** Serve others than this machine although there are no keys. @default false */
  readonly insecure?: boolean | undefined;
  /** Milliseconds a call may take. @default 30000 */
  readonly deadlineMs?: number | undefined;
  /** Bytes of a request, as sent and once decompressed. @default 67108864 */
  readonly maxBodyBytes?: number | undefined;
  /** Milliseconds for which a client may take nothing of an answer, before it is dropped. @default 30000 */
  readonly readerTimeoutMs?: number | undefined;
}

/** @throws {ERR_CONFIG} naming what is out of range, or missing. */
export function checkGatewayInit({
  maxBodyBytes,
  readerTimeoutMs,
  http,
  grpc,
  fleet,
  provision,
}: GatewayInit & { maxBodyBytes: number; readerTimeoutMs: number }): void {
  if (http === undefined && grpc === undefined) {
    throw new ConfigError('the gateway would serve nothing, expected --http or --grpc');
  }
  if (!(readerTimeoutMs >= 1 && readerTimeoutMs <= MAX_READER_TIMEOUT_MS)) {
    throw new ConfigError(
      `readerTimeoutMs is ${readerTimeoutMs}, expected 1 to ${MAX_READER_TIMEOUT_MS}`,
    );
  }
  if (!(maxBodyBytes >= 1 && maxBodyBytes <= MAX_BODY_BYTES)) {
    throw new ConfigError(
      `maxBodyBytes is ${maxBodyBytes}, expected an integer from 1 to ${MAX_BODY_BYTES}`,
    );
  }
  checkFleetInit({ fleet, provision });
}

/** @throws {ERR_CONFIG} for an address that strangers reach, where nothing would tell them from callers. */
export function checkPublic(
  addresses: readonly (ListenAddress | undefined)[],
  { hasKeys, insecure }: { readonly hasKeys: boolean; readonly insecure: boolean },
): void {
  if (hasKeys || insecure) return;
  for (const address of addresses) {
    if (address === undefined || isLoopback(address)) continue;
    throw new ConfigError(
      `${formatAddress(address)} can be reached from elsewhere and there is no API key: make one with \`swarm keys api\`, or say --insecure`,
    );
  }
}
