import { type Deployment, resolveDeployment } from '../../../protocols/manifest/index.ts';
import type { ScalingInit } from '../../policy/scaling/scaling-settings.ts';
import { seededRandom } from '../random.ts';
import { type DemandTrace, zipfShares } from './demand-trace.ts';
import {
  DEFAULT_GOSSIP,
  type GossipSpec,
  type ReplicaOrder,
  type SimNodeSpec,
  type SimVersionSpec,
  type SwarmScenario,
} from './swarm-scenario.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** What a simulated swarm is made of; what is absent takes its default. */
export interface ScenarioInit {
  readonly nodes: number;
  readonly clients: number;
  readonly versions: number;
  readonly durationMs: number;
  /** Requests a second of all versions together, as a trace. */
  readonly trace: DemandTrace;
  /** The versions that the trace is for; the others are asked for `restPerS` at all times. @default all */
  readonly hot?: number | undefined;
  /** Requests a second of the versions that are not hot, together. @default 0 */
  readonly restPerS?: number | undefined;
  /** Exponent of the popularity of versions; 0 makes them equals. @default 1 */
  readonly zipf?: number | undefined;
  /** Times as fast as the slowest node that the fastest is, alike on a logarithmic scale. @default 1 */
  readonly spread?: number | undefined;
  /** Milliseconds of a request on a usual node. @default 100 */
  readonly serviceMs?: number | undefined;
  readonly fileBytes?: number | undefined;
  readonly loadMs?: number | undefined;
  /** Versions that a node has memory for. @default 2 */
  readonly memoryVersions?: number | undefined;
  readonly deployment?: Deployment | undefined;
  /** Share of the nodes that lie, and how. @default none */
  readonly liars?:
    | { readonly share: number; readonly exaggeration: number; readonly boast: number }
    | undefined;
  /** Share of the nodes that is lost at a moment. @default none */
  readonly losses?: { readonly share: number; readonly atMs: number } | undefined;
  /** Share of the nodes that joins at a moment only. @default none */
  readonly joins?: { readonly share: number; readonly atMs: number } | undefined;
  readonly settings?: ScalingInit | undefined;
  readonly gossip?: Partial<GossipSpec> | undefined;
  readonly deadlineMs?: number | undefined;
  readonly seed?: number | undefined;
  readonly orders?: readonly ReplicaOrder[] | undefined;
}

/** 100 Mbit/s up, 1 Gbit/s down. */
export const UPLINK_BYTES_PER_S = 12.5e6;
const DOWNLINK_BYTES_PER_S = 125e6;

const DEFAULT_SERVICE_MS = 100;
export const DEFAULT_FILE_BYTES = 100 * MIB;
export const DEFAULT_LOAD_MS = 2_000;
const DEFAULT_MEMORY_VERSIONS = 2;
const DEFAULT_DEADLINE_MS = 10_000;

/** Of what a replica can do, what the first replicas are used to: less than the plan aims at, which chance alone would fall short of. */
const FIRST_UTILISATION = 0.6;

/** Nodes in a place, and of an owner. */
const NODES_PER_ZONE = 16;
const NODES_PER_OWNER = 4;

/** Fills a scenario in: each version begins with the replicas that its first demand needs. */
export function createScenario(init: ScenarioInit): SwarmScenario {
  const random = seededRandom((init.seed ?? 1) + 7_919);
  const { nodes, versions, durationMs, settings = {}, seed = 1 } = init;
  return {
    nodes: Array.from({ length: nodes }, (_, index) => nodeSpec(init, index, random)),
    versions: Array.from({ length: versions }, (_, index) => versionSpec(init, index)),
    gossip: { ...DEFAULT_GOSSIP, ...init.gossip },
    deadlineMs: init.deadlineMs ?? DEFAULT_DEADLINE_MS,
    ...{ settings, durationMs, seed, orders: init.orders },
  };
}

function nodeSpec(init: ScenarioInit, index: number, random: () => number): SimNodeSpec {
  const { spread = 1, liars, losses, joins, memoryVersions = DEFAULT_MEMORY_VERSIONS } = init;
  // Around 1 on a logarithmic scale, so that a usual node is in the middle.
  const speed = spread ** (random() - 0.5);
  const lies = liars !== undefined && random() < liars.share;
  const lost = losses !== undefined && random() < losses.share;
  const joinsLate = joins !== undefined && random() < joins.share;
  return {
    speed,
    memoryBytes: memoryVersions * GIB,
    diskBytes: 100 * GIB,
    uplinkBytesPerS: UPLINK_BYTES_PER_S,
    downlinkBytesPerS: DOWNLINK_BYTES_PER_S,
    owner: `owner-${Math.floor(index / NODES_PER_OWNER)}`,
    zone: `zone-${Math.floor(index / NODES_PER_ZONE)}`,
    joinsAtMs: joinsLate ? joins.atMs : 0,
    diesAtMs: lost ? losses.atMs : Number.POSITIVE_INFINITY,
    exaggeration: lies ? liars.exaggeration : 1,
    boast: lies ? liars.boast : 1,
  };
}

function versionSpec(init: ScenarioInit, index: number): SimVersionSpec {
  const { versions, hot = versions, zipf = 1, restPerS = 0, trace: all } = init;
  const serviceMs = init.serviceMs ?? DEFAULT_SERVICE_MS;
  const deployment = resolveDeployment({ minReplicas: 1, maxReplicas: 10_000, ...init.deployment });
  const isHot = index < hot;
  const shares = zipfShares(isHot ? hot : versions - hot, zipf);
  const share = shares[isHot ? index : index - hot] ?? 0;
  const trace: DemandTrace = isHot ? (atMs) => share * all(atMs) : () => share * restPerS;
  const usualPerS = 1_000 / serviceMs;
  const replicas = Math.ceil(trace(0) / (FIRST_UTILISATION * usualPerS));
  return {
    ...{ deployment, serviceMs, trace },
    memoryBytes: GIB,
    fileBytes: init.fileBytes ?? DEFAULT_FILE_BYTES,
    loadMs: init.loadMs ?? DEFAULT_LOAD_MS,
    replicas: Math.max(deployment.minReplicas, Math.min(deployment.maxReplicas, replicas)),
    clients: Math.max(1, Math.round(init.clients * (zipfShares(versions, zipf)[index] ?? 0))),
  };
}
