import { ISOLATION_MODES, type IsolationMode } from '../../node/backend/isolation.ts';
import { DEFAULT_MAX_REQUEST_BYTES, MAX_BODY_BYTES } from '../../protocols/limits.ts';
import { DEFAULT_NETWORK } from '../../protocols/protocol-id.ts';
import { DEFAULT_HANDOVER_TIMEOUT_MS } from '../policy/handover.ts';
import { RETIRE_AFTER_MS, RETIRE_RANGE_MS } from '../policy/retirement.ts';
import { GATEWAY_SETTINGS, type GatewaySettings } from './gateway-settings.ts';
import { SCALING_SETTINGS, type ScalingSettings } from './scaling-settings.ts';
import type { SettingSpec } from './setting-spec.ts';

/** Levels of the daemons' log, from pino. */
export const LOG_LEVELS = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;

const RECEIPT_CHOICES = ['on', 'off'] as const;

/** Every setting of every command. A flag wins over the environment, that over the file, that over the default. */
export const SETTINGS = {
  network: {
    kind: 'text',
    flags: '--network <name>',
    env: 'SWARM_NETWORK',
    about: 'name of the swarm; peers of other networks are never met',
    fallback: DEFAULT_NETWORK,
  },
  bootstrap: {
    kind: 'list',
    flags: '--bootstrap <multiaddr>',
    env: 'SWARM_BOOTSTRAP',
    about: 'a peer to join by, such as /ip4/…/tcp/…/p2p/12D3KooW… (repeat for several)',
    fallback: [],
  },
  mdns: {
    kind: 'switch',
    flags: '--mdns',
    env: 'SWARM_MDNS',
    about:
      'find peers on the local network, --no-mdns to not; by default servers do, others when no --bootstrap is given',
  },
  data: {
    kind: 'text',
    flags: '--data <dir>',
    env: 'SWARM_DATA',
    about:
      "folder of keys, records and models, made when missing; by default one per role below the user's data folder",
  },
  listen: {
    kind: 'list',
    flags: '--listen <multiaddr>',
    env: 'SWARM_LISTEN',
    about:
      'address to listen on (repeat for several), port 0 takes a free one; by default /ip4/0.0.0.0/tcp/0, of a bootstrap server /ip4/0.0.0.0/tcp/4001',
  },
  announce: {
    kind: 'list',
    flags: '--announce <multiaddr>',
    env: 'SWARM_ANNOUNCE',
    about: 'address to tell others instead of those listened on (repeat for several)',
  },
  allowPublisher: {
    kind: 'list',
    flags: '--allow-publisher <id>',
    env: 'SWARM_ALLOW_PUBLISHER',
    about: "publisher whose models this node runs, or 'any' (repeat for several)",
    fallback: [],
  },
  allowCaller: {
    kind: 'list',
    flags: '--allow-caller <id>',
    env: 'SWARM_ALLOW_CALLER',
    about: "peer whose requests this node answers, or 'any' (repeat for several)",
    fallback: ['any'],
  },
  allowVersion: {
    kind: 'list',
    flags: '--allow-version <cid>',
    env: 'SWARM_ALLOW_VERSION',
    about: "version that this node may hold, or 'any' (repeat for several)",
    fallback: ['any'],
  },
  allowTask: {
    kind: 'list',
    flags: '--allow-task <task>',
    env: 'SWARM_ALLOW_TASK',
    about:
      "what models may do that this node runs, as their manifests say it, such as image-classification, or 'any' (repeat for several)",
    fallback: ['any'],
  },
  zone: {
    kind: 'text',
    flags: '--zone <name>',
    env: 'SWARM_ZONE',
    about: 'where the node is, in your words; replicas are spread over zones',
    fallback: '',
  },
  tag: {
    kind: 'list',
    flags: '--tag <name>',
    env: 'SWARM_TAG',
    about: 'what else callers may prefer this node for, in your words (repeat for several)',
    fallback: [],
  },
  ownerKey: {
    kind: 'text',
    flags: '--owner-key <file>',
    env: 'SWARM_OWNER_KEY',
    about: "key of the node's owner, made when missing; without it the node is its own owner",
  },
  costPerHour: {
    kind: 'text',
    flags: '--cost-per-hour <n>',
    env: 'SWARM_COST_PER_HOUR',
    about:
      'what an hour of this machine costs, in the money of all nodes of a swarm: dear ones are freed first',
  },
  watts: {
    kind: 'text',
    flags: '--watts <n>',
    env: 'SWARM_WATTS',
    about:
      'watts that this machine draws while models compute, instead of --cost-per-hour: what they cost by --price-per-kwh',
  },
  pricePerKwh: {
    kind: 'text',
    flags: '--price-per-kwh <n>',
    env: 'SWARM_PRICE_PER_KWH',
    about: 'what a kilowatt-hour costs, for --watts',
    fallback: '0.3',
  },
  maxCores: {
    kind: 'integer',
    flags: '--max-cores <n>',
    env: 'SWARM_MAX_CORES',
    about: 'cores that models may compute on, all together; by default all but one',
    range: [1, 1024],
  },
  threads: {
    kind: 'integer',
    flags: '--threads <n>',
    env: 'SWARM_THREADS',
    about: "ONNX Runtime threads of one model's process",
    range: [1, 512],
  },
  maxMemory: {
    kind: 'text',
    flags: '--max-memory <bytes>',
    env: 'SWARM_MAX_MEMORY',
    about:
      'what models may take of the memory together, such as 8GiB; by default three quarters of it',
  },
  servingHours: {
    kind: 'text',
    flags: '--serving-hours <from-to>',
    env: 'SWARM_SERVING_HOURS',
    about: 'when in a day the node serves, by local time, such as 22:00-07:00; paused in between',
  },
  yieldGpu: {
    kind: 'switch',
    flags: '--yield',
    env: 'SWARM_YIELD',
    about: 'pause while another program computes on the GPU',
    fallback: false,
  },
  maxRequestBytes: {
    kind: 'integer',
    flags: '--max-request-bytes <n>',
    env: 'SWARM_MAX_REQUEST_BYTES',
    about: 'bytes of tensors in one request; larger ones are refused by their header',
    range: [1, MAX_BODY_BYTES],
    fallback: DEFAULT_MAX_REQUEST_BYTES,
  },
  maxQueued: {
    kind: 'integer',
    flags: '--max-queued <n>',
    env: 'SWARM_MAX_QUEUED',
    about: 'requests that may wait for one version; more are refused as busy',
    range: [1, 65_536],
    fallback: 256,
  },
  executionLimitMs: {
    kind: 'integer',
    flags: '--execution-limit <ms>',
    env: 'SWARM_EXECUTION_LIMIT_MS',
    about: 'milliseconds one execution may take until enough were measured to know better',
    range: [100, 3_600_000],
    fallback: 10_000,
  },
  loopLimitMs: {
    kind: 'integer',
    flags: '--loop-limit <ms>',
    env: 'SWARM_LOOP_LIMIT_MS',
    about: 'milliseconds one execution of a model that can loop may take; 0 refuses such models',
    range: [0, 3_600_000],
    fallback: 5_000,
  },
  retireAfterMs: {
    kind: 'integer',
    flags: '--retire-after <ms>',
    env: 'SWARM_RETIRE_AFTER_MS',
    about:
      'milliseconds without a request after which a version that no channel points at leaves memory',
    range: RETIRE_RANGE_MS,
    fallback: RETIRE_AFTER_MS,
  },
  isolation: {
    kind: 'text',
    flags: '--isolation <mode>',
    env: 'SWARM_ISOLATION',
    about: "whether models' processes are kept from network and secrets",
    choices: ISOLATION_MODES,
    fallback: 'auto',
  },
  receipts: {
    kind: 'text',
    flags: '--receipts <mode>',
    env: 'SWARM_RECEIPTS',
    about: 'whether the node signs a receipt of an answer for a caller who asks for one',
    choices: RECEIPT_CHOICES,
    fallback: 'on',
  },
  ...SCALING_SETTINGS,
  announceIntervalMs: {
    kind: 'integer',
    flags: '--announce-interval <ms>',
    env: 'SWARM_ANNOUNCE_INTERVAL_MS',
    about: 'milliseconds between announcements; the lease is three of these',
    range: [100, 60_000],
    fallback: 10_000,
  },
  handoverTimeoutMs: {
    kind: 'integer',
    flags: '--handover-timeout <ms>',
    env: 'SWARM_HANDOVER_TIMEOUT_MS',
    about:
      'milliseconds that other nodes have to take over what this one serves, after SIGTERM or `swarm node drain`; 0 to not wait',
    range: [0, 3_600_000],
    fallback: DEFAULT_HANDOVER_TIMEOUT_MS,
  },
  storeQuota: {
    kind: 'text',
    flags: '--store-quota <bytes>',
    env: 'SWARM_STORE_QUOTA',
    about: 'what models may take on the disk, such as 200GiB; by default all but 64 MiB of it',
  },
  uploadLimit: {
    kind: 'text',
    flags: '--upload-limit <bytes>',
    env: 'SWARM_UPLOAD_LIMIT',
    about: 'bytes a second that others may fetch of models here, such as 8MiB; at least 64KiB',
  },
  downloadLimit: {
    kind: 'text',
    flags: '--download-limit <bytes>',
    env: 'SWARM_DOWNLOAD_LIMIT',
    about: 'bytes a second that this node fetches of models, such as 8MiB; at least 64KiB',
  },
  logLevel: {
    kind: 'text',
    flags: '--log-level <level>',
    env: 'SWARM_LOG_LEVEL',
    about: 'what the log on stderr tells',
    choices: LOG_LEVELS,
    fallback: 'info',
  },
  otlp: {
    kind: 'text',
    flags: '--otlp <url>',
    env: 'SWARM_OTLP',
    about:
      'OpenTelemetry collector that gets the spans of requests over HTTP, such as http://localhost:4318; without it none are recorded',
  },
  identity: {
    kind: 'text',
    flags: '--identity <file>',
    env: 'SWARM_IDENTITY',
    about: 'key that nodes see as the caller, made when missing; without it a fresh one each time',
  },
  key: {
    kind: 'text',
    flags: '--key <key>',
    env: 'SWARM_PUBLISHER_KEY',
    about:
      "the publisher's key: a petname of `swarm keys`, or a file; by default publisher.key in the data folder",
  },
  delegation: {
    kind: 'text',
    flags: '--delegation <file>',
    env: 'SWARM_DELEGATION',
    about: "another publisher's certificate that lets --key move its model",
  },
  validFor: {
    kind: 'text',
    flags: '--valid-for <duration>',
    env: 'SWARM_VALID_FOR',
    about: 'how long the release record is believed, and put again while you are away: 1h to 3650d',
    fallback: '365d',
  },
  publishers: {
    kind: 'list',
    flags: '--publisher <petname=id>',
    env: 'SWARM_PUBLISHERS',
    about: 'what you call a publisher, to write petname/name for a model (repeat for several)',
    fallback: [],
  },
  channel: {
    kind: 'text',
    flags: '--channel <name>',
    env: 'SWARM_CHANNEL',
    about: 'channel of the model to point at this version',
    fallback: 'stable',
  },
  replicas: {
    kind: 'integer',
    flags: '--replicas <n>',
    env: 'SWARM_REPLICAS',
    about: "nodes to wait for; by default the package's minReplicas, or all nodes when fewer",
    range: [1, 1000],
  },
  timeoutMs: {
    kind: 'integer',
    flags: '--timeout <ms>',
    env: 'SWARM_TIMEOUT_MS',
    about: 'milliseconds the whole publication, import or export may take',
    range: [100, 86_400_000],
    fallback: 600_000,
  },
  ...GATEWAY_SETTINGS,
  deadlineMs: {
    kind: 'integer',
    flags: '--deadline <ms>',
    env: 'SWARM_DEADLINE_MS',
    about: 'milliseconds the call may take, retries on other nodes included',
    range: [1, 86_400_000],
    fallback: 30_000,
  },
} as const satisfies Readonly<Record<string, SettingSpec>>;

export type SettingKey = keyof typeof SETTINGS;

/** The settings in use, as the commands read them; what is undefined has no value and no default. */
export interface Settings extends GatewaySettings, ScalingSettings {
  readonly network: string;
  readonly bootstrap: readonly string[];
  readonly mdns: boolean | undefined;
  readonly data: string | undefined;
  readonly listen: readonly string[] | undefined;
  readonly announce: readonly string[] | undefined;
  readonly allowPublisher: readonly string[];
  readonly allowCaller: readonly string[];
  readonly allowVersion: readonly string[];
  readonly allowTask: readonly string[];
  readonly zone: string;
  readonly tag: readonly string[];
  readonly ownerKey: string | undefined;
  readonly costPerHour: string | undefined;
  readonly watts: string | undefined;
  readonly pricePerKwh: string;
  readonly maxCores: number | undefined;
  readonly threads: number | undefined;
  readonly maxMemory: string | undefined;
  readonly servingHours: string | undefined;
  readonly yieldGpu: boolean;
  readonly maxRequestBytes: number;
  readonly maxQueued: number;
  readonly executionLimitMs: number;
  readonly loopLimitMs: number;
  readonly retireAfterMs: number;
  readonly isolation: IsolationMode;
  readonly receipts: (typeof RECEIPT_CHOICES)[number];
  readonly announceIntervalMs: number;
  readonly handoverTimeoutMs: number;
  readonly storeQuota: string | undefined;
  readonly uploadLimit: string | undefined;
  readonly downloadLimit: string | undefined;
  readonly logLevel: (typeof LOG_LEVELS)[number];
  readonly otlp: string | undefined;
  readonly identity: string | undefined;
  readonly key: string | undefined;
  readonly delegation: string | undefined;
  readonly validFor: string;
  readonly publishers: readonly string[];
  readonly channel: string;
  readonly replicas: number | undefined;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
}

/** All keys, in the order in which help and `swarm config` show them. */
export const SETTING_KEYS = Object.keys(SETTINGS) as readonly SettingKey[];

/** What is known of a setting, without the literal types of the table. */
export function settingSpec(key: SettingKey): SettingSpec {
  return SETTINGS[key];
}
