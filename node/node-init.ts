import type { PrivateKey } from '@libp2p/interface';
import type { Logger } from 'pino';
import { MAX_TAGS, TAG } from '../protocols/capacity/index.ts';
import { ConfigError } from '../protocols/errors.ts';
import { DEFAULT_MAX_REQUEST_BYTES } from '../protocols/limits.ts';
import { DEFAULT_NETWORK, parseNetwork } from '../protocols/protocol-id.ts';
import { quoted } from '../protocols/quoted.ts';
import { parsePublisherId, parseVersionCid } from '../protocols/reference.ts';
import { MIN_RATE_BYTES } from '../protocols/transfer/index.ts';
import type { Resolved } from '../protocols/types.ts';
import { DEFAULT_MAX_QUEUED } from '../src/policy/admission.ts';
import { DEFAULT_HANDOVER_TIMEOUT_MS } from '../src/policy/handover.ts';
import { MIN_MEMORY_BYTES } from '../src/policy/memory-need.ts';
import { RETIRE_AFTER_MS, RETIRE_RANGE_MS } from '../src/policy/retirement.ts';
import {
  resolveScalingInit,
  type ScalingInit,
  type ScalingSettings,
} from '../src/policy/scaling/scaling-settings.ts';
import { parseServingHours } from '../src/policy/serving-hours.ts';
import type { ListenAddress } from '../src/swarm/listen-address.ts';
import { checkBootstrapAddresses } from '../src/swarm/peer.ts';
import type { InferenceBackend } from './backend/backend.ts';
import { ISOLATION_MODES, type IsolationMode } from './backend/isolation.ts';
import { DEFAULT_LOOP_LIMIT_MS, defaultMaxCores } from './backend/onnx-init.ts';
import { hostMemoryBytes } from './device/host-memory.ts';
import { type NodeCostInit, resolveNodeCost } from './node-cost.ts';

/** How often a node announces itself when nothing changes; the lease is three of these. */
export const DEFAULT_ANNOUNCE_INTERVAL_MS = 10_000;

/** Milliseconds one execution may take until enough were measured to know better. */
export const DEFAULT_EXECUTION_LIMIT_MS = 10_000;

/** Cores of a host; the largest have some 800. */
const MAX_CORES = 1024;

/** Threads of one process: beyond them no operator gains. */
const MAX_THREADS = 512;

/** Bytes a second above which a limit limits nothing. */
export const MAX_RATE_BYTES = 2 ** 40;

/** Who is served: everyone, or the ids listed. An empty list serves nobody. */
export type AllowList = 'any' | readonly string[];

export interface NodeInit extends NodeCostInit {
  /** Folder that holds the node's key, records and models; made when missing. */
  readonly dataDir: string;
  /** Multiaddrs with `/p2p/<id>` of peers to join by. @default [] */
  readonly bootstrap?: readonly string[] | undefined;
  /** Multiaddrs to listen on. @default ['/ip4/0.0.0.0/tcp/0'] */
  readonly listen?: readonly string[] | undefined;
  /** Multiaddrs to announce instead of those listened on. @default those listened on */
  readonly announce?: readonly string[] | undefined;
  /** Name of the swarm. @default 'main' */
  readonly network?: string | undefined;
  /** Find peers on the local network. @default true */
  readonly mdns?: boolean | undefined;
  /** Publishers whose models this node runs. @default [] (none) */
  readonly allowPublishers?: AllowList | undefined;
  /** Versions that this node holds at most, of the publishers it serves. @default 'any' */
  readonly allowVersions?: AllowList | undefined;
  /** Tasks of the models that this node runs, as their manifests name them. @default 'any' */
  readonly allowTasks?: AllowList | undefined;
  /** Peer ids whose requests this node answers; where they are named, their priorities count among all. @default 'any' */
  readonly allowCallers?: AllowList | undefined;
  /** Where the node is, in its owner's words; replicas are spread over zones. @default '' */
  readonly zone?: string | undefined;
  /** What else callers may prefer it for, in its owner's words: at most 8, each as {@link TAG} has it. @default [] */
  readonly tags?: readonly string[] | undefined;
  /** The owner's key. @default the node's own key: it is its own owner */
  readonly ownerKey?: PrivateKey | undefined;
  /** Cores that models may compute on, all together. @default cores - 1, at least 1 */
  readonly maxCores?: number | undefined;
  /** ONNX Runtime threads of one model's process, `maxCores` at most. @default as many as `maxCores` */
  readonly threads?: number | undefined;
  /** Bytes of the host's memory that models may take together. @default 3/4 of the memory of the host or container */
  readonly maxMemoryBytes?: number | undefined;
  /** When in a day it serves, by the host's local time, such as `22:00-07:00`; paused in between. @default always */
  readonly servingHours?: string | undefined;
  /** Pause while another program computes on a GPU of this host. @default false */
  readonly yieldGpu?: boolean | undefined;
  /** Bytes of tensors in one request. @default 201326592 (192 MiB) */
  readonly maxRequestBytes?: number | undefined;
  /** Requests waiting per version; more are refused as busy. @default 256 */
  readonly maxQueued?: number | undefined;
  /** Milliseconds one execution may take before its process is stopped, until measured. @default 10000 */
  readonly executionLimitMs?: number | undefined;
  /** Milliseconds one run of a model that can loop may take; 0 refuses such models. @default 5000 */
  readonly loopLimitMs?: number | undefined;
  /** Milliseconds without a request after which a version that no channel points at leaves memory, and is packed. @default 600000 */
  readonly retireAfterMs?: number | undefined;
  /** Whether models' processes are shut in as far as the host allows, must be, or are not. @default 'auto' */
  readonly isolation?: IsolationMode | undefined;
  /** Sign a receipt of an answer for a caller who asks for one; who does is sent elsewhere when this is off. @default true */
  readonly receipts?: boolean | undefined;
  /** How the node follows the swarm's demand; false to hold only what publishers place. @default {} */
  readonly scaling?: ScalingInit | false | undefined;
  /** Milliseconds between announcements. @default 10000 */
  readonly announceIntervalMs?: number | undefined;
  /** Milliseconds that others have to take over what a node serves that is about to stop; 0 to not wait. @default 15000 */
  readonly handoverTimeoutMs?: number | undefined;
  /** Bytes that models may take on the disk. @default what the disk has, less a reserve of 64 MiB */
  readonly storeQuotaBytes?: number | undefined;
  /** Bytes a second that other peers may fetch from here, all together. @default as fast as it goes */
  readonly uploadLimitBytes?: number | undefined;
  /** Bytes a second that this node fetches, of all versions together. @default as fast as it goes */
  readonly downloadLimitBytes?: number | undefined;
  /** Runs the models instead; the node stops it. For programs that embed a node: no setting leads here. @default ONNX Runtime in processes of its own */
  readonly backend?: InferenceBackend | undefined;
  /** Address of an OpenTelemetry collector that gets the requests' spans on this node. @default none */
  readonly otlp?: string | undefined;
  /** Where Prometheus reads the node's metrics. @default nowhere */
  readonly metrics?: ListenAddress | undefined;
  /** Where the node writes its log. */
  readonly logger: Logger;
}

/** {@link NodeInit} with every default filled in. */
export type ResolvedNodeInit = Resolved<Omit<NodeInit, Unset | 'scaling' | 'pricePerKwh'>> &
  Pick<NodeInit, Unset> & {
    /** Undefined where the node holds only what publishers place. */
    readonly scaling: ScalingSettings | undefined;
  };

/** What has no default: undefined means something of its own. */
type Unset =
  | 'announce'
  | 'backend'
  | 'costPerHour'
  | 'watts'
  | 'metrics'
  | 'ownerKey'
  | 'servingHours'
  | 'storeQuotaBytes'
  | 'uploadLimitBytes'
  | 'downloadLimitBytes'
  | 'otlp';

/**
 * Fills in defaults and checks ranges.
 *
 * @throws {ERR_CONFIG | ERR_INVALID_INPUT} naming the field that is wrong.
 */
export function resolveNodeInit(init: NodeInit): ResolvedNodeInit {
  const maxCores = init.maxCores ?? defaultMaxCores();
  const resolved: ResolvedNodeInit = {
    dataDir: init.dataDir,
    bootstrap: checkBootstrapAddresses(init.bootstrap ?? []),
    listen: init.listen ?? ['/ip4/0.0.0.0/tcp/0'],
    announce: init.announce,
    network: parseNetwork(init.network ?? DEFAULT_NETWORK),
    mdns: init.mdns ?? true,
    allowPublishers: init.allowPublishers ?? [],
    allowVersions: init.allowVersions ?? 'any',
    allowTasks: init.allowTasks ?? 'any',
    allowCallers: init.allowCallers ?? 'any',
    zone: init.zone ?? '',
    tags: init.tags ?? [],
    ownerKey: init.ownerKey,
    ...resolveNodeCost(init),
    maxCores,
    threads: init.threads ?? Math.min(maxCores, MAX_THREADS),
    maxMemoryBytes: init.maxMemoryBytes ?? Math.floor((hostMemoryBytes() * 3) / 4),
    servingHours: init.servingHours,
    yieldGpu: init.yieldGpu ?? false,
    maxRequestBytes: init.maxRequestBytes ?? DEFAULT_MAX_REQUEST_BYTES,
    maxQueued: init.maxQueued ?? DEFAULT_MAX_QUEUED,
    executionLimitMs: init.executionLimitMs ?? DEFAULT_EXECUTION_LIMIT_MS,
    loopLimitMs: init.loopLimitMs ?? DEFAULT_LOOP_LIMIT_MS,
    retireAfterMs: init.retireAfterMs ?? RETIRE_AFTER_MS,
    isolation: init.isolation ?? 'auto',
    receipts: init.receipts ?? true,
    scaling: init.scaling === false ? undefined : resolveScalingInit(init.scaling),
    announceIntervalMs: init.announceIntervalMs ?? DEFAULT_ANNOUNCE_INTERVAL_MS,
    handoverTimeoutMs: init.handoverTimeoutMs ?? DEFAULT_HANDOVER_TIMEOUT_MS,
    storeQuotaBytes: init.storeQuotaBytes,
    uploadLimitBytes: init.uploadLimitBytes,
    downloadLimitBytes: init.downloadLimitBytes,
    backend: init.backend,
    otlp: init.otlp,
    metrics: init.metrics,
    logger: init.logger,
  };
  for (const list of [resolved.allowPublishers, resolved.allowCallers]) {
    if (list !== 'any') for (const id of list) parsePublisherId(id);
  }
  checkRange('maxMemoryBytes', resolved.maxMemoryBytes, MIN_MEMORY_BYTES, Number.MAX_SAFE_INTEGER);
  checkRange('maxRequestBytes', resolved.maxRequestBytes, 1, 1024 ** 3);
  checkRange('maxQueued', resolved.maxQueued, 1, 65_536);
  checkRange('executionLimitMs', resolved.executionLimitMs, 100, 3_600_000);
  checkRange('loopLimitMs', resolved.loopLimitMs, 0, 3_600_000);
  checkRange('retireAfterMs', resolved.retireAfterMs, ...RETIRE_RANGE_MS);
  if (!ISOLATION_MODES.includes(resolved.isolation)) {
    throw new ConfigError(
      `isolation is '${resolved.isolation}', expected ${ISOLATION_MODES.join(', ')}`,
    );
  }
  checkRange('announceIntervalMs', resolved.announceIntervalMs, 100, 60_000);
  checkRange('handoverTimeoutMs', resolved.handoverTimeoutMs, 0, 3_600_000);
  for (const field of ['uploadLimitBytes', 'downloadLimitBytes'] as const) {
    const value = resolved[field];
    if (value !== undefined) checkRange(field, value, MIN_RATE_BYTES, MAX_RATE_BYTES);
  }
  const { storeQuotaBytes } = resolved;
  if (storeQuotaBytes !== undefined) {
    checkRange('storeQuotaBytes', storeQuotaBytes, 0, Number.MAX_SAFE_INTEGER);
  }
  const { allowVersions } = resolved;
  for (const cid of allowVersions === 'any' ? [] : allowVersions) {
    if (parseVersionCid(cid) !== undefined) continue;
    throw new ConfigError(`allowVersions has ${quoted(cid)}, expected CIDs, bafyrei…`);
  }
  if (resolved.servingHours !== undefined) parseServingHours(resolved.servingHours);
  checkRange('maxCores', resolved.maxCores, 1, MAX_CORES);
  checkRange('threads', resolved.threads, 1, MAX_THREADS);
  checkTags(resolved.tags);
  if (resolved.zone.length > 64) {
    throw new ConfigError(`zone has ${resolved.zone.length} characters, expected at most 64`);
  }
  return resolved;
}

/** True when the list lets the id in. */
export function allows(list: AllowList, id: string): boolean {
  return list === 'any' || list.includes(id);
}

function checkRange(field: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new ConfigError(`${field} is ${value}, expected an integer from ${min} to ${max}`);
}

function checkTags(tags: readonly string[]): void {
  if (tags.length > MAX_TAGS) {
    throw new ConfigError(`node has ${tags.length} tags, expected at most ${MAX_TAGS}`);
  }
  for (const tag of tags) {
    if (TAG.test(tag)) continue;
    throw new ConfigError(
      `tag ${quoted(tag)}: expected 1 to 32 characters a-z, 0-9, '.', '_' and '-', the first a letter or digit`,
    );
  }
}
