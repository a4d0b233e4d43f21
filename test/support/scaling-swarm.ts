import type { ReplicaState } from '../../protocols/capacity/index.ts';
import type { NodeId, OwnerId, VersionCid } from '../../protocols/types.ts';
import { DemandMeter } from '../../src/policy/scaling/demand-meter.ts';
import { HolderDoubts } from '../../src/policy/scaling/holder-doubt.ts';
import { planReplicas } from '../../src/policy/scaling/plan-replicas.ts';
import {
  EMPTY_SCALING_MEMORY,
  type ScalingMemory,
} from '../../src/policy/scaling/scaling-memory.ts';
import { resolveScalingInit, type ScalingInit } from '../../src/policy/scaling/scaling-settings.ts';
import type {
  DemandReport,
  ReplicaAction,
  ReplicaPlan,
  ReplicaView,
  ScalingDeployment,
  ScalingNode,
  VersionView,
} from '../../src/policy/scaling/scaling-view.ts';
import { seededRandom } from '../../src/sim/random.ts';

const STEP_MS = 100;

/** Milliseconds until a node is missed that is not there. */
const MISSED_MS = 4_000;

interface Replica {
  state: ReplicaState;
  sinceMs: number;
  readonly meter: DemandMeter;
  /** Requests that the last step left over, less than one. */
  carry: number;
}

export interface SwarmNode {
  readonly name: string;
  readonly fields: Omit<
    ScalingNode,
    'node' | 'serving' | 'busyShare' | 'memoryFreeBytes' | 'accepting'
  >;
  readonly memoryBytes: number;
  accepting: boolean;
  alive: boolean;
  /** Until when it is announced although there is no such node; null for one that there is. */
  announcedUntilMs: number | null;
  /** Fetches for later that are under way there all the time. */
  prefetching: number;
  /** Times what it was asked for, that it tells. */
  exaggeration: number;
  readonly replicas: Map<string, Replica>;
  readonly refused: Set<VersionCid>;
  readonly pinned: Set<VersionCid>;
  memory: ScalingMemory;
  plan: ReplicaPlan | undefined;
}

export interface SwarmVersion {
  readonly name: string;
  readonly deployment: ScalingDeployment;
  readonly memoryBytes: number;
  readonly fileBytes: number;
  /** Requests a second that a usual node can do. */
  readonly requestsPerS: number;
  /** Milliseconds of a load, with and without a fetch before it. */
  readonly loadMs: number;
  readonly fetchMs: number;
  /** Requests a second that are asked for. */
  askedPerS: number;
}

export interface SwarmEvent {
  readonly atMs: number;
  readonly node: string;
  readonly action: ReplicaAction;
}

/** Several nodes that plan for themselves: demand is spread by what replicas can do, and news travels at once. */
export class ScalingSwarm {
  readonly nodes: SwarmNode[] = [];
  readonly versions: SwarmVersion[] = [];
  readonly events: SwarmEvent[] = [];
  readonly settings;
  /** Of the client that finds no replica. */
  readonly #missed = new Map<string, { readonly meter: DemandMeter; carry: number }>();
  readonly #notices = new Map<string, number>();
  /** News travels at once: who was met by one is known to all. */
  readonly #doubts = new HolderDoubts();
  readonly #met = new Set<string>();
  readonly #random: () => number;
  nowMs = 0;

  constructor(settings: ScalingInit = {}, seed = 1) {
    this.settings = resolveScalingInit(settings);
    this.#random = seededRandom(seed);
  }

  node(name: string): SwarmNode {
    const found = this.nodes.find((node) => node.name === name);
    if (found === undefined) throw new Error(`expected one of the nodes, found ${name}`);
    return found;
  }

  version(name: string): SwarmVersion {
    const found = this.versions.find((version) => version.name === name);
    if (found === undefined) throw new Error(`expected one of the versions, found ${name}`);
    return found;
  }

  /** Puts a replica somewhere without a plan. */
  place(version: string, node: string, state: ReplicaState): void {
    const meter = new DemandMeter(this.settings);
    this.node(node).replicas.set(version, { state, sinceMs: this.nowMs, meter, carry: 0 });
  }

  /** Has somebody announce a node that does not exist. */
  announce(version: string, name: string): void {
    const announcedUntilMs = this.nowMs + MISSED_MS;
    this.nodes.push({ ...swarmNode(name), alive: false, announcedUntilMs });
    this.place(version, name, 'ready');
  }

  holders(version: string, state: ReplicaState): SwarmNode[] {
    return this.nodes.filter((node) => node.alive && node.replicas.get(version)?.state === state);
  }

  /** Lets time pass; every node looks at its plan each tick, one after another. */
  run(durationMs: number): void {
    const endMs = this.nowMs + durationMs;
    while (this.nowMs < endMs) {
      this.nowMs += STEP_MS;
      this.#missPhantoms();
      this.#finishLoads();
      for (const version of this.versions) this.#ask(version);
      for (const [index, node] of this.nodes.entries()) {
        const turnMs = (index * STEP_MS) % this.settings.tickMs;
        if (node.alive && this.nowMs % this.settings.tickMs === turnMs) this.#plan(node);
      }
    }
  }

  #missPhantoms(): void {
    const heard = this.nodes.filter((node) => this.#isHeard(node));
    this.#doubts.see(
      heard.map(({ name }) => name as NodeId),
      this.nowMs,
    );
    for (const node of heard) {
      const { name, announcedUntilMs, replicas } = node;
      if (announcedUntilMs === null || this.nowMs < announcedUntilMs) continue;
      this.#doubts.miss(name as NodeId, [...replicas.keys()] as VersionCid[], this.nowMs);
      replicas.clear();
    }
  }

  /** Whether others count on it: it lives, or nobody has found yet that there is no such node. */
  #isHeard({ alive, announcedUntilMs, replicas }: SwarmNode): boolean {
    return alive || (announcedUntilMs !== null && replicas.size > 0);
  }

  #meet(name: string): void {
    const node = this.node(name);
    if (node.announcedUntilMs === null) this.#met.add(name);
    else node.announcedUntilMs = this.nowMs;
  }

  #finishLoads(): void {
    for (const node of this.nodes) {
      for (const [name, replica] of node.replicas) {
        const { loadMs, fetchMs } = this.version(name);
        const stored = replica.carry < 0;
        if (replica.state !== 'loading') continue;
        if (this.nowMs - replica.sinceMs < loadMs + (stored ? 0 : fetchMs)) continue;
        replica.state = 'ready';
        replica.sinceMs = this.nowMs;
        replica.carry = 0;
      }
    }
  }

  #ask(version: SwarmVersion): void {
    const ready = this.holders(version.name, 'ready');
    const total = ready.reduce((sum, node) => sum + this.#perS(node, version), 0);
    const asked = (version.askedPerS * STEP_MS) / 1_000;
    if (ready.length === 0) {
      const missed = this.#missedOf(version.name);
      missed.carry += asked;
      for (; missed.carry >= 1; missed.carry -= 1) missed.meter.missed(this.nowMs);
    }
    for (const node of ready) {
      const replica = node.replicas.get(version.name);
      if (replica === undefined) continue;
      const share = this.#perS(node, version) / total;
      const overload = Math.max(1, version.askedPerS / total);
      replica.carry += asked * share;
      for (; replica.carry >= 1; replica.carry -= 1) {
        if (this.#random() * overload > 1) replica.meter.refused(this.nowMs);
        else {
          replica.meter.arrived(this.nowMs);
          replica.meter.left(this.nowMs);
          replica.meter.served(0, 1_000 / this.#perS(node, version), this.nowMs);
        }
      }
    }
  }

  #plan(node: SwarmNode): void {
    const self = {
      node: this.#viewOf(node),
      refused: node.refused,
      unfetched: new Set<VersionCid>(),
      pinned: node.pinned,
      loading: [...node.replicas.values()].filter(({ state }) => state === 'loading').length,
      prefetching: node.prefetching,
      settings: this.settings,
      memory: node.memory,
    };
    const others = this.nodes.filter((other) => other.alive && other !== node);
    const view = {
      versions: this.versions.map((version) => this.#versionView(version, node.name)),
      nodes: others.map((other) => this.#viewOf(other)),
      population: others.length + 1,
    };
    node.plan = planReplicas(view, self, this.nowMs, this.#random);
    node.memory = node.plan.memory;
    for (const cid of node.plan.notices) this.#notices.set(cid, this.nowMs);
    for (const name of node.plan.meetings) this.#meet(name);
    for (const action of node.plan.actions) this.#act(node, action);
  }

  #act(node: SwarmNode, action: ReplicaAction): void {
    this.events.push({ atMs: this.nowMs, node: node.name, action });
    const { cid } = action;
    const stored = node.replicas.get(cid)?.state === 'cold';
    switch (action.kind) {
      case 'move':
        this.place(action.from, node.name, 'cold');
        this.place(cid, node.name, 'loading');
        break;
      case 'claim': {
        this.place(cid, node.name, 'loading');
        const replica = node.replicas.get(cid);
        if (stored && replica !== undefined) replica.carry = -1;
        break;
      }
      case 'leave':
      case 'prefetch':
        this.place(cid, node.name, 'cold');
        break;
      case 'forget':
        node.replicas.delete(cid);
        break;
    }
  }

  #viewOf(node: SwarmNode): ScalingNode {
    const loaded = [...node.replicas].filter(([, { state }]) => {
      return state === 'ready' || state === 'loading';
    });
    const takenBytes = loaded.reduce((sum, [name]) => sum + this.version(name).memoryBytes, 0);
    return {
      ...node.fields,
      node: node.name as NodeId,
      accepting: node.accepting,
      serving: loaded.length,
      busyShare: null,
      memoryFreeBytes: node.memoryBytes - takenBytes,
    };
  }

  #versionView(version: SwarmVersion, viewer: string): VersionView {
    const replicas: ReplicaView[] = [];
    const reports: DemandReport[] = [];
    const cid = version.name as VersionCid;
    const fresh = { cid, ageMs: 0, intervalMs: this.settings.tickMs };
    for (const node of this.nodes) {
      const replica = node.replicas.get(version.name);
      if (replica === undefined || !this.#isHeard(node)) continue;
      const requestsPerS = replica.state === 'ready' ? this.#perS(node, version) : null;
      const forMs = this.nowMs - replica.sinceMs;
      const id = node.name as NodeId;
      const confirmed =
        id === viewer || this.#met.has(id) || this.#doubts.isEstablished(id, cid, this.nowMs);
      replicas.push({ node: id, state: replica.state, requestsPerS, forMs, confirmed });
      const demand = replica.meter.read(this.nowMs);
      const told = (rates: typeof demand.stable) => ({
        ...rates,
        refusalsPerS: rates.refusalsPerS + (node.exaggeration - 1) * rates.arrivalsPerS,
      });
      const truth = { ...fresh, ...demand, reporter: node.name as NodeId, role: 'node' as const };
      reports.push({ ...truth, stable: told(demand.stable), panic: told(demand.panic) });
    }
    const missed = this.#missedOf(version.name).meter.read(this.nowMs);
    reports.push({ ...fresh, ...missed, reporter: 'client' as NodeId, role: 'client' });
    const { deployment, memoryBytes, fileBytes } = version;
    const noticedMs = this.#notices.get(version.name);
    const noticeAgeMs = noticedMs === undefined ? null : this.nowMs - noticedMs;
    return {
      ...{ cid, deployment, memoryBytes, fileBytes, reports, replicas, noticeAgeMs },
      phantoms: this.#doubts.phantoms(cid, this.nowMs),
    };
  }

  #missedOf(version: string): { readonly meter: DemandMeter; carry: number } {
    const found = this.#missed.get(version) ?? { meter: new DemandMeter(this.settings), carry: 0 };
    this.#missed.set(version, found);
    return found;
  }

  #perS(node: SwarmNode, version: SwarmVersion): number {
    return (node.fields.speed ?? 1) * version.requestsPerS;
  }
}

/** A node of a swarm, 2 GiB of memory and 100 of disk where nothing else is said. */
export function swarmNode(
  name: string,
  fields: Partial<SwarmNode['fields']> & { readonly memoryBytes?: number } = {},
): SwarmNode {
  const { memoryBytes = 2 * 1024 ** 3, ...rest } = fields;
  return {
    ...{ name, memoryBytes, accepting: true, alive: true, exaggeration: 1, announcedUntilMs: null },
    prefetching: 0,
    fields: {
      owner: `owner of ${name}` as OwnerId,
      zone: '',
      providers: ['cpu'],
      speed: 1,
      costPerHour: null,
      diskFreeBytes: 100 * 1024 ** 3,
      ...rest,
    },
    replicas: new Map(),
    refused: new Set(),
    pinned: new Set(),
    memory: EMPTY_SCALING_MEMORY,
    plan: undefined,
  };
}
