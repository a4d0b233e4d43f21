import { MAX_BODY_BYTES } from '../../protocols/limits.ts';
import {
  DEFAULT_CACHE_BYTES,
  DEFAULT_DRAIN_DELAY_MS,
  DEFAULT_DRAIN_TIMEOUT_MS,
  DEFAULT_MAX_BODY_BYTES,
} from '../gateway/gateway-defaults.ts';
import { FLEET_SETTINGS, type FleetSettings } from './fleet-settings.ts';
import type { SettingSpec } from './setting-spec.ts';

/** Bytes of kept answers that a gateway may be told to hold: more than hosts have. */
const MAX_CACHE_BYTES = 64 * 1024 ** 3;

/** The settings of `swarm gateway`; of those, a bootstrap server has the ones of the fleet, and where it serves them. */
export const GATEWAY_SETTINGS = {
  http: {
    kind: 'text',
    flags: '--http <address>',
    env: 'SWARM_HTTP',
    about: 'where the gateway serves HTTP, without a host on this machine alone; or off',
    fallback: ':8000',
  },
  grpc: {
    kind: 'text',
    flags: '--grpc <address>',
    env: 'SWARM_GRPC',
    about:
      'where gRPC is served, without a host on this machine alone; or off. By default of a gateway :8001, of a bootstrap server, which serves KEDA alone, off',
  },
  metrics: {
    kind: 'text',
    flags: '--metrics <address>',
    env: 'SWARM_METRICS',
    about:
      'where Prometheus reads the metrics, without a host on this machine alone; or off. By default of a gateway :8002, of a node and a bootstrap server off',
  },
  metricsCompat: {
    kind: 'list',
    flags: '--metrics-compat <name>',
    env: 'SWARM_METRICS_COMPAT',
    about: 'also give the metrics of the gateway under the names of triton or vllm',
    fallback: [],
  },
  tlsCert: {
    kind: 'text',
    flags: '--tls-cert <file>',
    env: 'SWARM_TLS_CERT',
    about:
      'certificate in PEM, with its chain, that HTTP and gRPC of the gateway show, read again when it changes; without it both are plain',
  },
  tlsKey: {
    kind: 'text',
    flags: '--tls-key <file>',
    env: 'SWARM_TLS_KEY',
    about: 'key of that certificate in PEM',
  },
  restrictFile: {
    kind: 'text',
    flags: '--restrict-file <file>',
    env: 'SWARM_RESTRICT_FILE',
    about:
      'groups of the API for who sends a certain header alone, one groups:header=value a line as Triton has them',
  },
  requireModels: {
    kind: 'list',
    flags: '--require-model <name>',
    env: 'SWARM_REQUIRE_MODELS',
    about:
      'model without which the gateway is not ready (repeat for several); by default some model must be served',
    fallback: [],
  },
  cacheModels: {
    kind: 'list',
    flags: '--cache-model <name>',
    env: 'SWARM_CACHE_MODELS',
    about:
      'publisher/name of a model that always answers the same to the same, so that the gateway keeps its answers (repeat for several)',
    fallback: [],
  },
  cacheBytes: {
    kind: 'integer',
    flags: '--cache-bytes <n>',
    env: 'SWARM_CACHE_BYTES',
    about: 'bytes of answers that the gateway keeps',
    range: [1, MAX_CACHE_BYTES],
    fallback: DEFAULT_CACHE_BYTES,
  },
  maxBodyBytes: {
    kind: 'integer',
    flags: '--max-body-bytes <n>',
    env: 'SWARM_MAX_BODY_BYTES',
    about: 'bytes of a request to the gateway, as sent and once decompressed',
    range: [1, MAX_BODY_BYTES],
    fallback: DEFAULT_MAX_BODY_BYTES,
  },
  insecure: {
    kind: 'switch',
    flags: '--insecure',
    env: 'SWARM_INSECURE',
    about: 'serve others than this machine although there are no API keys',
    fallback: false,
  },
  drainDelayMs: {
    kind: 'integer',
    flags: '--drain-delay <ms>',
    env: 'SWARM_DRAIN_DELAY_MS',
    about: 'milliseconds the gateway serves on, not ready, after SIGTERM',
    range: [0, 600_000],
    fallback: DEFAULT_DRAIN_DELAY_MS,
  },
  ...FLEET_SETTINGS,
  drainTimeoutMs: {
    kind: 'integer',
    flags: '--drain-timeout <ms>',
    env: 'SWARM_DRAIN_TIMEOUT_MS',
    about: 'milliseconds that requests in flight then have',
    range: [0, 3_600_000],
    fallback: DEFAULT_DRAIN_TIMEOUT_MS,
  },
} as const satisfies Readonly<Record<string, SettingSpec>>;

/** {@link GATEWAY_SETTINGS} as the commands read them. */
export interface GatewaySettings extends FleetSettings {
  readonly http: string;
  readonly grpc: string | undefined;
  readonly metrics: string | undefined;
  readonly metricsCompat: readonly string[];
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
  readonly restrictFile: string | undefined;
  readonly requireModels: readonly string[];
  readonly cacheModels: readonly string[];
  readonly cacheBytes: number;
  readonly maxBodyBytes: number;
  readonly insecure: boolean;
  readonly drainDelayMs: number;
  readonly drainTimeoutMs: number;
}
