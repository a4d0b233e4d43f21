import type { NodeId, OwnerId } from '../../../protocols/types.ts';
import { isNeeded, rememberSpared } from './cool-down.ts';
import { type DesiredCapacity, desiredCapacity } from './desired-capacity.ts';
import { countedReplicas } from './holder-doubt.ts';
import { type MergedDemand, mergeDemand } from './merged-demand.ts';
import { type Hindrance, hindranceOf } from './node-fitness.ts';
import { measureCapacity, type ReplicaCapacity } from './replica-capacity.ts';
import { type FormerHolder, firstMemory, type VersionMemory } from './scaling-memory.ts';
import type { ScalingSettings } from './scaling-settings.ts';
import type {
  ReplicaView,
  ScalingNode,
  ScalingSelf,
  ScalingView,
  VersionView,
} from './scaling-view.ts';

/** Stable windows for which it is known who has left: its last word counts whole until the next was due, and fades over one window. */
const FORMER_WINDOWS = 2;

/** One version as one node sees it, with what follows from that. */
export interface VersionState {
  /** With those of the announced replicas that count. */
  readonly version: VersionView;
  readonly capacity: ReplicaCapacity;
  readonly demand: MergedDemand;
  readonly desired: DesiredCapacity;
  /** Replicas that serve, and those that soon will. */
  readonly ready: readonly ReplicaView[];
  readonly loading: readonly ReplicaView[];
  /** Requests a second that the ready ones can do, and all. */
  readonly readyPerS: number;
  readonly havePerS: number;
  /** Replicas that demand asks for, within the publisher's bounds. */
  readonly desiredCount: number;
  /** Whether this node is among the replicas, and how. */
  readonly own: ReplicaView | undefined;
  /** Known nodes that have no part in it yet and could, and what hinders the others: looked for when first asked for. */
  readonly eligible: readonly ScalingNode[];
  readonly hindrances: readonly Hindrance[];
  /** Those that have its weights on their disk. */
  readonly stored: ReadonlySet<NodeId>;
  /** Whether replicas became fewer within an up-delay: what is lacking then was needed a moment ago. */
  readonly fell: boolean;
  /** Whether one left within the down-delay that nobody needed, and nothing else has come up since: what is lacking by count waits. */
  readonly coolingDown: boolean;
  readonly memory: VersionMemory;
}

/** The nodes of a view by their id, the planning one included. */
export type NodesById = ReadonlyMap<NodeId, ScalingNode>;

export function nodesById({ nodes }: ScalingView, { node }: ScalingSelf): NodesById {
  return new Map([...nodes, node].map((one) => [one.node, one]));
}

/** What is known of a node; of an unknown one that it stands alone. */
export function nodeOf(id: NodeId, nodes: NodesById): ScalingNode {
  return (
    nodes.get(id) ?? {
      node: id,
      owner: id as string as OwnerId,
      zone: '',
      accepting: true,
      memoryFreeBytes: null,
      providers: [],
      speed: null,
      costPerHour: null,
      serving: 1,
      busyShare: null,
      diskFreeBytes: null,
    }
  );
}

export function assessVersion(
  announced: VersionView,
  nodes: NodesById,
  self: ScalingSelf,
  nowMs: number,
): VersionState {
  const version = { ...announced, replicas: countedReplicas(announced) };
  const known = self.memory.get(version.cid) ?? firstMemory(nowMs, isServed(version));
  const capacity = measureCapacity(version, self.settings.stableWindowMs);
  const ready = version.replicas.filter(({ state }) => state === 'ready');
  const loading = version.replicas.filter(({ state }) => state === 'loading');
  const readyPerS = sum(ready, (one) => capacity.of(one));
  const loadingPerS = sum(loading, ({ node }) => capacity.expectedOf(nodes.get(node)));
  const havePerS = readyPerS + loadingPerS;
  const holders = rememberHolders(known.holders, ready, self.settings.stableWindowMs, nowMs);
  const demand = mergeDemand(version, capacity, holders, self.settings);
  const have = ready.length + loading.length;
  const input = {
    ...{ demand, readyPerS, have, deployment: version.deployment, memory: known },
    // Who has a part in it knows whom it has lost.
    recruited:
      isRecruited(version, self.settings) &&
      !version.replicas.some(({ node }) => node === self.node.node),
  };
  const desired = desiredCapacity(input, self.settings, nowMs);
  const meanPerS = have === 0 ? capacity.usualPerS : havePerS / have;
  const { maxReplicas } = version.deployment;
  const countOf = (perS: number): number => {
    return Math.min(maxReplicas, Math.max(desired.floor, Math.ceil(perS / meanPerS)));
  };
  const desiredCount = countOf(desired.wantedPerS);
  const counts = {
    have,
    loading: loading.length,
    desiredCount,
    keptCount: countOf(desired.keptPerS),
  };
  // Once over it does not come back: what a crowd made wanted would hide the crowd.
  const sparedAtMs = isNeeded(version, demand, known, self.settings)
    ? 0
    : rememberSpared(version, known, have >= desiredCount, nowMs);
  const memory = { ...remembered(desired.memory, counts, nowMs), holders, sparedAtMs };
  const fell = memory.fellAtMs > 0 && nowMs - memory.fellAtMs <= self.settings.upDelayMs;
  const coolingDown = sparedAtMs > 0 && nowMs - sparedAtMs < self.settings.downDelayMs;
  const stored = storedOn(version);
  // Most versions lack nothing at most looks, and then nobody asks who of hundreds of nodes could help.
  let found: Fitness | undefined;
  const fitness = (): Fitness =>
    (found ??= findFitness({ version: announced, stored }, nodes, self));
  return {
    ...{ fell, coolingDown, memory, stored },
    ...{ version, capacity, demand, desired, ready, loading, readyPerS, havePerS, desiredCount },
    own: version.replicas.find(({ node }) => node === self.node.node),
    get eligible() {
      return fitness().eligible;
    },
    get hindrances() {
      return fitness().hindrances;
    },
  };
}

/** Who sent a notice has seen that replicas are lacking, and that it lasts. */
export function isRecruited(
  { noticeAgeMs }: VersionView,
  { recruitIntervalMs }: Pick<ScalingSettings, 'recruitIntervalMs'>,
): boolean {
  return noticeAgeMs !== null && noticeAgeMs < recruitIntervalMs;
}

function isServed({ replicas }: VersionView): boolean {
  return replicas.some(({ state }) => state === 'ready' || state === 'loading');
}

/** Since when it is short or in surplus, and when it last grew. */
function remembered(
  memory: VersionMemory,
  counts: {
    readonly have: number;
    /** Of those, the ones that load. */
    readonly loading: number;
    readonly desiredCount: number;
    readonly keptCount: number;
  },
  nowMs: number,
): VersionMemory {
  const { have, desiredCount, keptCount, loading } = counts;
  return {
    ...memory,
    shortSinceMs: have < desiredCount ? (memory.shortSinceMs ?? nowMs) : null,
    surplusSinceMs: have > keptCount ? (memory.surplusSinceMs ?? nowMs) : null,
    // A claim made in the moment in which another is given up leaves as many as before, and one that lasts a second nobody sees.
    grewAtMs: have > memory.had || loading > 0 ? nowMs : memory.grewAtMs,
    fellAtMs: have < memory.had ? nowMs : memory.fellAtMs,
    had: have,
  };
}

type Fitness = Pick<VersionState, 'eligible' | 'hindrances'>;

function storedOn({ replicas }: VersionView): ReadonlySet<NodeId> {
  const holding = replicas.filter(({ state }) => state !== 'gone' && state !== 'loading');
  return new Set(holding.map(({ node }) => node));
}

function findFitness(
  { version, stored }: Pick<VersionState, 'version' | 'stored'>,
  nodes: NodesById,
  self: ScalingSelf,
): Fitness {
  const taken = new Set<NodeId>();
  for (const { node, state } of version.replicas) {
    if (state !== 'gone' && state !== 'cold') taken.add(node);
  }
  const eligible: ScalingNode[] = [];
  const hindrances: Hindrance[] = [];
  for (const node of nodes.values()) {
    if (taken.has(node.node)) continue;
    const refused = node.node === self.node.node && self.refused.has(version.cid);
    const hindrance = refused ? 'not accepting' : hindranceOf(node, version, stored.has(node.node));
    if (hindrance === undefined) eligible.push(node);
    else hindrances.push(hindrance);
  }
  return { eligible, hindrances };
}

/** Those that are ready, and those that were a moment ago: what they last told still counts, fading. */
function rememberHolders(
  holders: ReadonlyMap<NodeId, FormerHolder>,
  ready: readonly ReplicaView[],
  stableWindowMs: number,
  nowMs: number,
): ReadonlyMap<NodeId, FormerHolder> {
  const kept = [...holders].filter(
    ([, { atMs }]) => nowMs - atMs < FORMER_WINDOWS * stableWindowMs,
  );
  return new Map([
    ...kept,
    ...ready.map(({ node, requestsPerS }) => [node, { atMs: nowMs, requestsPerS }] as const),
  ]);
}

function sum<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((total, value) => total + of(value), 0);
}
