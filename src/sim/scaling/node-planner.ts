import type { NodeId } from '../../../protocols/types.ts';
import {
  digestIntervalMs,
  digestLookMs,
  isDigestDue,
  isIdle,
} from '../../policy/scaling/digest-schedule.ts';
import { planReplicas } from '../../policy/scaling/plan-replicas.ts';
import type {
  DemandReport,
  ReplicaAction,
  ReplicaView,
  ScalingNode,
  VersionView,
} from '../../policy/scaling/scaling-view.ts';
import { type GossipLedger, noticeSource } from './gossip-ledger.ts';
import type { ReplicaLife } from './replica-life.ts';
import type { SimReplica } from './sim-replica.ts';
import type { SimNode, SimVersion, SwarmState } from './swarm-state.ts';
import { EVENT } from './timeline.ts';

/** Weight of the last tick in how busy a node is said to be. */
const BUSY_DECAY = 0.3;

/** Share of a node that a version can have at least, however busy it is with others. */
const LEAST_SHARE = 0.1;

/** Recruit intervals for which a node that does not hold a version keeps looking at it. */
const NOTICE_INTERVALS = 3;

/** Milliseconds between two looks at least. */
const MIN_WAIT_MS = 50;

const NOBODY: ReadonlySet<never> = new Set();

/** Looks at each node's plan now and then, as the node would: by what it has heard, and no more. */
export class NodePlanner {
  readonly #state: SwarmState;
  readonly #life: ReplicaLife;
  readonly #ledger: GossipLedger;
  readonly actions: {
    readonly atMs: number;
    readonly node: number;
    readonly action: ReplicaAction;
  }[] = [];

  constructor(state: SwarmState, life: ReplicaLife, ledger: GossipLedger) {
    this.#state = state;
    this.#life = life;
    this.#ledger = ledger;
  }

  /** A node looks at its plan, and will again: in a tick, or when the plan says. As a real one, it waits for one look at a time. */
  look(node: SimNode): void {
    const { settings, nowMs, timeline } = this.#state;
    const lookAtMs = node.alive ? this.#plan(node) : null;
    const waitMs = Math.max(MIN_WAIT_MS, (lookAtMs ?? Number.POSITIVE_INFINITY) - nowMs);
    node.lookDueMs = nowMs + Math.min(settings.tickMs, waitMs);
    timeline.at(node.lookDueMs, EVENT.tick, node.index);
  }

  /** A node has heard of a version that lacks replicas: it looks now, unless it is about to. */
  hear(node: SimNode): void {
    if (node.alive && node.lookDueMs > this.#state.nowMs + MIN_WAIT_MS) this.look(node);
  }

  /** A node tells what it was asked for, where that is news, and will look again. */
  tell(node: SimNode): void {
    const { settings, timeline } = this.#state;
    if (node.alive) for (const replica of node.replicas.values()) this.#tell(node, replica);
    timeline.after(digestLookMs(settings), EVENT.tell, node.index);
  }

  /** A node plans, and acts; returns when it is worth to look again. */
  #plan(node: SimNode): number | null {
    const { settings, nowMs, random } = this.#state;
    this.#lookAtSelf(node);
    const versions = this.#versionsOf(node);
    if (versions.length === 0) return null;
    const nodes = this.#nodesOf(node, versions);
    const self = {
      ...{ node: node.told, refused: NOBODY, unfetched: NOBODY, pinned: NOBODY },
      ...{ settings, memory: node.memory },
      loading: count(node, ({ state }) => state === 'loading'),
      prefetching: count(node, ({ prefetching }) => prefetching),
    };
    const view = {
      versions: versions.map((version) => this.#viewOf(version, node)),
      nodes,
      population: this.#ledger.population,
    };
    const plan = planReplicas(view, self, nowMs, random);
    node.plan = plan;
    node.memory = plan.memory;
    for (const cid of plan.notices) {
      const version = versions.find((one) => one.cid === cid);
      if (version !== undefined) this.#ledger.notice(version);
    }
    for (const action of plan.actions) this.#act(node, action);
    return plan.lookAtMs;
  }

  /** What it tells of itself. */
  #lookAtSelf(node: SimNode): void {
    const { nowMs } = this.#state;
    const passedMs = Math.max(1, nowMs - node.lookedAtMs);
    const share = Math.min(1, node.busyMs / passedMs);
    node.busyShare += BUSY_DECAY * (share - node.busyShare);
    node.busyMs = 0;
    node.lookedAtMs = nowMs;
    let [memoryBytes, diskBytes, serving] = [0, 0, 0];
    for (const replica of node.replicas.values()) {
      const spec = this.#state.versions[replica.version]?.spec;
      if (spec === undefined) continue;
      if (replica.stored || replica.prefetching || replica.state === 'loading')
        diskBytes += spec.fileBytes;
      if (replica.state !== 'ready' && replica.state !== 'loading') continue;
      memoryBytes += spec.memoryBytes;
      serving += 1;
    }
    node.told = {
      ...node.told,
      memoryFreeBytes: node.spec.memoryBytes - memoryBytes,
      diskFreeBytes: node.spec.diskBytes - diskBytes,
      serving,
      busyShare: node.busyShare,
      // Measured on whatever it has served.
      speed: node.told.speed ?? (serving > 0 ? node.spec.speed * node.spec.boast : null),
    };
  }

  /** Publishes a replica's digest when it is due. */
  #tell(node: SimNode, replica: SimReplica): void {
    const { nowMs, versions, settings } = this.#state;
    const version = versions[replica.version];
    if (version === undefined) return;
    // One that serves no more still tells, once, that it is asked for no more.
    if (replica.state !== 'ready' && replica.told === undefined) return;
    const read = replica.meter.read(nowMs);
    const { exaggeration } = node.spec;
    const demand = exaggeration === 1 ? read : exaggerated(read, exaggeration);
    const { stableWindowMs } = settings;
    const pace = { stableWindowMs, reporters: Math.max(1, version.reporters) };
    if (!isDigestDue(replica.told, demand, { ...pace, nowMs })) return;
    replica.told = isIdle(demand) ? undefined : { demand, atMs: nowMs };
    this.#ledger.digest(version);
    const number = (replica.digests.at(-1)?.number ?? 0) + 1;
    const requestsPerS = this.#requestsPerS(node, version, read);
    const intervalMs = digestIntervalMs(pace);
    replica.tell({ number, atMs: nowMs, intervalMs, demand, requestsPerS });
  }

  /** What a replica can do beside what the node is busy with for other versions. */
  #requestsPerS(node: SimNode, version: SimVersion, { stable }: SimDemand): number {
    const wholePerS = (1_000 * node.spec.speed) / version.spec.serviceMs;
    const ownShare = stable.arrivalsPerS / wholePerS;
    const others = Math.max(0, node.busyShare - ownShare);
    const free = node.told.serving > 1 ? Math.max(LEAST_SHARE, 1 - others) : 1;
    return node.spec.boast * free * wholePerS;
  }

  /** Those that it has a part in, and those that it was told lack replicas. */
  #versionsOf(node: SimNode): SimVersion[] {
    const { nowMs, settings, gossip } = this.#state;
    return this.#state.versions.filter((version) => {
      const part = node.replicas.get(version.index);
      if (part !== undefined && (part.state !== 'gone' || part.prefetching)) return true;
      const ageMs = nowMs - version.noticeAtMs;
      if (ageMs > NOTICE_INTERVALS * settings.recruitIntervalMs) return false;
      return ageMs >= gossip.delayMs(noticeSource(version), node.index, version.notices);
    });
  }

  #nodesOf(node: SimNode, versions: readonly SimVersion[]): ScalingNode[] {
    const known = new Set<SimNode>(node.known);
    for (const version of versions) {
      for (const index of version.replicas.keys()) {
        const holder = this.#state.nodes[index];
        if (holder !== undefined) known.add(holder);
      }
    }
    known.delete(node);
    return [...known].filter((one) => this.#state.isListed(one)).map(({ told }) => told);
  }

  #viewOf(version: SimVersion, node: SimNode): VersionView {
    const { gossip, nowMs, nodes } = this.#state;
    const replicas: ReplicaView[] = [];
    const reports: DemandReport[] = [];
    for (const replica of version.replicas.values()) {
      const holder = nodes[replica.node];
      if (holder === undefined) continue;
      const digest = gossip.digestOf(replica, node.index, nowMs);
      if (digest !== undefined) {
        const { intervalMs, demand } = digest;
        const ageMs = nowMs - digest.atMs;
        reports.push({
          ...demand,
          ageMs,
          intervalMs,
          cid: version.cid,
          reporter: holder.id,
          role: 'node',
        });
      }
      const state = gossip.stateOf(replica, node.index, nowMs);
      if (state === 'gone' || !this.#state.isListed(holder)) continue;
      replicas.push({
        ...{ node: holder.id, state, forMs: nowMs - replica.changedAtMs },
        requestsPerS: digest?.requestsPerS ?? null,
        confirmed: true,
      });
    }
    const missed = version.missed.meter.read(nowMs);
    const client = {
      ...missed,
      cid: version.cid,
      ageMs: 0,
      intervalMs: 1,
      role: 'client' as const,
    };
    if (version.visible.length === 0) reports.push({ ...client, reporter: 'clients' as NodeId });
    const { deployment, memoryBytes, fileBytes } = version.spec;
    const noticeAgeMs = Number.isFinite(version.noticeAtMs) ? nowMs - version.noticeAtMs : null;
    return {
      ...{ cid: version.cid, deployment, memoryBytes, fileBytes },
      ...{ replicas, reports, noticeAgeMs, phantoms: 0 },
    };
  }

  #act(node: SimNode, action: ReplicaAction): void {
    this.actions.push({ atMs: this.#state.nowMs, node: node.index, action });
    const version = this.#versionOf(action.cid);
    switch (action.kind) {
      case 'claim':
        return this.#life.claim(node, version);
      case 'forget':
        return this.#life.forget(node, version);
      case 'leave':
        return this.#life.leave(node, version);
      case 'prefetch':
        return this.#life.prefetch(node, version);
      case 'move':
        this.#life.leave(node, this.#versionOf(action.from));
        return this.#life.claim(node, version);
    }
  }

  #versionOf(cid: string): SimVersion {
    const version = this.#state.versions.find((one) => one.cid === cid);
    if (version === undefined) throw new Error(`expected a version of the scenario, found ${cid}`);
    return version;
  }
}

type SimDemand = ReturnType<SimReplica['meter']['read']>;

function exaggerated(demand: SimDemand, times: number): SimDemand {
  const told = (rates: SimDemand['stable']): SimDemand['stable'] => ({
    ...rates,
    arrivalsPerS: times * rates.arrivalsPerS,
  });
  return { ...demand, stable: told(demand.stable), panic: told(demand.panic) };
}

function count(node: SimNode, is: (replica: SimReplica) => boolean): number {
  let found = 0;
  for (const replica of node.replicas.values()) if (is(replica)) found += 1;
  return found;
}
