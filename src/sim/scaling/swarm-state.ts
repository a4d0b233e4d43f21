import type { NodeId, OwnerId, VersionCid } from '../../../protocols/types.ts';
import { EMPTY_SCALING_MEMORY, type ScalingMemory } from '../../policy/scaling/scaling-memory.ts';
import { resolveScalingInit, type ScalingSettings } from '../../policy/scaling/scaling-settings.ts';
import type { ReplicaPlan, ScalingNode } from '../../policy/scaling/scaling-view.ts';
import { seededRandom } from '../random.ts';
import { GossipModel } from './gossip-model.ts';
import { SimReplica } from './sim-replica.ts';
import type { SimNodeSpec, SimVersionSpec, SwarmScenario } from './swarm-scenario.ts';
import { EVENT, Timeline } from './timeline.ts';

/** Requests that wait on a node: those of all its versions, in the order they came. */
export class WaitingLine {
  #requests: number[] = [];
  #first = 0;

  add(request: number): void {
    this.#requests.push(request);
  }

  take(): number | undefined {
    const request = this.#requests[this.#first];
    if (request === undefined) return undefined;
    this.#first += 1;
    if (this.#first > 64 && this.#first * 2 > this.#requests.length) {
      this.#requests = this.#requests.slice(this.#first);
      this.#first = 0;
    }
    return request;
  }
}

export interface SimNode {
  readonly index: number;
  readonly id: NodeId;
  readonly owner: OwnerId;
  readonly spec: SimNodeSpec;
  alive: boolean;
  /** By version. */
  readonly replicas: Map<number, SimReplica>;
  readonly waiting: WaitingLine;
  /** Milliseconds of work that all that waits is expected to be. */
  waitingMs: number;
  /** The request it runs; -1 for none. */
  running: number;
  runningSinceMs: number;
  /** Milliseconds for which it ran anything, since it last looked at its plan. */
  busyMs: number;
  /** Share of its time in which it ran anything, over some ticks. */
  busyShare: number;
  lookedAtMs: number;
  /** When it looks at its plan next; an event of another moment was put off or brought forward. */
  lookDueMs: number;
  /** What it tells of itself, as of its last look. */
  told: ScalingNode;
  memory: ScalingMemory;
  plan: ReplicaPlan | undefined;
  /** Others that it knows beside those with whom it holds a version. */
  known: readonly SimNode[];
}

export interface SimVersion {
  readonly index: number;
  readonly cid: VersionCid;
  readonly spec: SimVersionSpec;
  /** Nodes that clients know to be ready. */
  visible: readonly number[];
  /** Changes of {@link visible}. */
  generation: number;
  /** All replicas that there are or were, by node. */
  readonly replicas: Map<number, SimReplica>;
  /** Of clients that found no replica ready. */
  readonly missed: SimReplica;
  /** When the last recruit notice was sent, and how many there were. */
  noticeAtMs: number;
  notices: number;
  /** Nodes that tell what it is asked for. */
  reporters: number;
  /** Fetches under way. */
  fetching: number;
}

/** All that is true of a simulated swarm at a moment. */
export class SwarmState {
  readonly scenario: SwarmScenario;
  readonly settings: ScalingSettings;
  readonly timeline = new Timeline();
  readonly random: () => number;
  readonly gossip: GossipModel;
  readonly nodes: readonly SimNode[];
  readonly versions: readonly SimVersion[];
  readonly replicas: SimReplica[] = [];

  constructor(scenario: SwarmScenario) {
    this.scenario = scenario;
    this.settings = resolveScalingInit(scenario.settings);
    this.random = seededRandom(scenario.seed);
    this.gossip = new GossipModel(scenario.gossip, scenario.seed);
    this.nodes = scenario.nodes.map((spec, index) => this.#newNode(spec, index));
    for (const node of this.nodes) node.known = this.#drawKnown(node);
    this.versions = scenario.versions.map((spec, index) => ({
      ...{ index, spec, cid: `version-${index}` as VersionCid, visible: [], generation: 1 },
      ...{ replicas: new Map(), noticeAtMs: Number.NEGATIVE_INFINITY, notices: 0 },
      missed: this.#replicaOf({ node: -1, version: index }),
      ...{ reporters: 0, fetching: 0 },
    }));
  }

  get nowMs(): number {
    return this.timeline.nowMs;
  }

  /** The part of a node in a version, made when it has none. */
  partOf(node: SimNode, version: SimVersion): SimReplica {
    const found = node.replicas.get(version.index);
    if (found !== undefined) return found;
    const made = this.#replicaOf({ node: node.index, version: version.index });
    node.replicas.set(version.index, made);
    version.replicas.set(node.index, made);
    return made;
  }

  /** Clients hear a little later which nodes are ready; those who ask meanwhile find out by themselves. */
  tellClients(version: SimVersion, replica: SimReplica): void {
    const delayMs = this.gossip.delayMs(replica.index, -2, replica.changes);
    this.timeline.after(delayMs, EVENT.heard, version.index);
  }

  refreshVisible(version: SimVersion): void {
    const visible: number[] = [];
    for (const replica of version.replicas.values()) {
      if (replica.state === 'ready' && !this.#isKnownDead(replica.node)) visible.push(replica.node);
    }
    version.visible = visible;
    version.generation += 1;
  }

  isAlive(node: number): boolean {
    return this.nodes[node]?.alive ?? false;
  }

  /** Whether a node has been lost for long enough to have left all views. */
  #isKnownDead(node: number): boolean {
    const found = this.nodes[node];
    if (found === undefined || found.alive) return false;
    return this.nowMs >= found.spec.diesAtMs + this.scenario.gossip.detectMs;
  }

  isListed(node: SimNode): boolean {
    return node.spec.joinsAtMs <= this.nowMs && !this.#isKnownDead(node.index);
  }

  #replicaOf(place: { readonly node: number; readonly version: number }): SimReplica {
    const windows = this.settings;
    const at = { ...place, index: this.replicas.length };
    const replica = new SimReplica(at, 'gone', { windows, nowMs: this.nowMs });
    this.replicas.push(replica);
    return replica;
  }

  #newNode(spec: SimNodeSpec, index: number): SimNode {
    const id = `node-${index}` as NodeId;
    const owner = spec.owner as OwnerId;
    return {
      ...{ index, id, owner, spec, alive: spec.joinsAtMs === 0, replicas: new Map() },
      ...{
        waiting: new WaitingLine(),
        waitingMs: 0,
        running: -1,
        runningSinceMs: 0,
        busyMs: 0,
        busyShare: 0,
      },
      ...{ lookedAtMs: 0, lookDueMs: 0 },
      told: {
        ...{ node: id, owner, zone: spec.zone, accepting: true, providers: ['cpu'] },
        ...{ memoryFreeBytes: spec.memoryBytes, speed: null, costPerHour: null },
        ...{ serving: 0, busyShare: 0, diskFreeBytes: spec.diskBytes },
      },
      memory: EMPTY_SCALING_MEMORY,
      plan: undefined,
      known: [],
    };
  }

  #drawKnown(node: SimNode): readonly SimNode[] {
    const { knownNodes } = this.scenario.gossip;
    const count = Math.min(knownNodes, this.nodes.length - 1);
    const drawn = new Set<SimNode>();
    while (drawn.size < count) {
      const other = this.nodes[Math.floor(this.random() * this.nodes.length)];
      if (other !== undefined && other !== node) drawn.add(other);
    }
    return [...drawn];
  }
}
