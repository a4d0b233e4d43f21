import { GossipLedger } from './gossip-ledger.ts';
import { NodePlanner } from './node-planner.ts';
import { ReplicaLife } from './replica-life.ts';
import { RequestFlow } from './request-flow.ts';
import { VersionRecord } from './swarm-record.ts';
import type { ReplicaOrder, SwarmScenario } from './swarm-scenario.ts';
import { type SimNode, type SimVersion, SwarmState } from './swarm-state.ts';
import { EVENT } from './timeline.ts';

/** What stands for the number of a message where delays of news of a death are drawn. */
const DEATHS = 0x2000_0000;

/** Milliseconds of simulated time after which whoever waits for the end hears how far it is. */
const STEP_MS = 10_000;

export interface SwarmOutcome {
  readonly records: readonly VersionRecord[];
  readonly actions: NodePlanner['actions'];
  /** Events that happened, and requests among them. */
  readonly events: number;
  readonly requests: number;
  /** Bytes of gossip that a node got in a second, the mean over all. */
  readonly gossipBytesPerS: number;
  /** Nodes that ran nothing, the mean over time: what could be given back. */
  readonly emptyNodes: number;
}

/** A simulation that is under way. */
export class SwarmSimulation {
  readonly #state: SwarmState;
  readonly #records: readonly VersionRecord[];
  readonly #life: ReplicaLife;
  readonly #flow: RequestFlow;
  readonly #ledger: GossipLedger;
  readonly #planner: NodePlanner;
  #emptyNodes = 0;
  #seconds = 0;

  constructor(scenario: SwarmScenario) {
    this.#state = new SwarmState(scenario);
    this.#records = scenario.versions.map(() => new VersionRecord(scenario.deadlineMs));
    this.#life = new ReplicaLife(this.#state);
    this.#ledger = new GossipLedger(this.#state);
    this.#flow = new RequestFlow(this.#state, this.#records, this.#life);
    this.#planner = new NodePlanner(this.#state, this.#life, this.#ledger);
    this.#begin();
  }

  get nowMs(): number {
    return this.#state.nowMs;
  }

  /** Goes some simulated seconds on; false when the end is reached. */
  step(): boolean {
    const { scenario, timeline } = this.#state;
    const untilMs = Math.min(scenario.durationMs, timeline.nowMs + STEP_MS);
    while (timeline.next(untilMs)) this.#happen();
    timeline.nowMs = Math.max(timeline.nowMs, untilMs);
    return timeline.nowMs < scenario.durationMs;
  }

  outcome(): SwarmOutcome {
    const { nodes, scenario, timeline } = this.#state;
    for (const record of this.#records) record.end();
    return {
      records: this.#records,
      actions: this.#planner.actions,
      events: timeline.count,
      requests: this.#flow.requests,
      gossipBytesPerS: this.#ledger.bytes / nodes.length / (scenario.durationMs / 1_000),
      emptyNodes: this.#emptyNodes / Math.max(1, this.#seconds),
    };
  }

  #begin(): void {
    const { nodes, versions, timeline, settings, random } = this.#state;
    const { orders } = this.#state.scenario;
    for (const [index, { atMs }] of (orders ?? []).entries()) timeline.at(atMs, EVENT.order, index);
    for (const version of versions) this.#placeFirst(version);
    this.#ledger.count();
    for (const node of nodes) {
      const firstMs = node.spec.joinsAtMs + random() * settings.tickMs;
      if (orders === undefined) {
        node.lookDueMs = firstMs;
        timeline.at(firstMs, EVENT.tell, node.index);
        timeline.at(firstMs, EVENT.tick, node.index);
      }
      if (node.spec.joinsAtMs > 0) timeline.at(node.spec.joinsAtMs, EVENT.incident, node.index);
      if (Number.isFinite(node.spec.diesAtMs)) {
        timeline.at(node.spec.diesAtMs, EVENT.incident, node.index);
        const heardMs = node.spec.diesAtMs + this.#state.scenario.gossip.detectMs;
        timeline.at(heardMs, EVENT.incident, node.index);
      }
    }
    this.#flow.start();
    timeline.at(1_000, EVENT.second, 0);
  }

  /** The first replicas go where there is room, one after another, as a publisher would place them; of a version without any, one copy. */
  #placeFirst(version: SimVersion): void {
    const { nodes } = this.#state;
    const start = Math.floor(this.#state.random() * nodes.length);
    const keeper = nodes[start];
    if (version.spec.replicas === 0 && keeper !== undefined) this.#life.store(keeper, version);
    let placed = 0;
    for (let step = 0; step < nodes.length && placed < version.spec.replicas; step += 1) {
      const node = nodes[(start + step) % nodes.length];
      if (node === undefined || !node.alive || !this.#hasRoom(node, version)) continue;
      this.#life.place(node, version);
      placed += 1;
    }
  }

  /** Those with the most room load what is lacking, all at once. */
  #obey({ version: index, replicas }: ReplicaOrder): void {
    const version = this.#state.versions[index];
    if (version === undefined) return;
    const held = [...version.replicas.values()].filter(({ node, state }) => {
      return this.#state.isAlive(node) && (state === 'ready' || state === 'loading');
    });
    const able = this.#state.nodes
      .filter((node) => node.alive && !node.replicas.has(index) && this.#hasRoom(node, version))
      .toSorted((a, b) => a.replicas.size - b.replicas.size)
      .slice(0, Math.max(0, replicas - held.length));
    for (const node of able) this.#life.claim(node, version);
  }

  #hasRoom(node: SimNode, version: SimVersion): boolean {
    let takenBytes = 0;
    for (const index of node.replicas.keys()) {
      takenBytes += this.#state.versions[index]?.spec.memoryBytes ?? 0;
    }
    return takenBytes + version.spec.memoryBytes <= node.spec.memoryBytes;
  }

  #happen(): void {
    const { timeline, nodes, versions } = this.#state;
    const { kind, argument } = timeline;
    switch (kind) {
      case EVENT.arrival:
        return this.#flow.arrive(argument);
      case EVENT.reach:
        return this.#flow.reach(argument);
      case EVENT.done:
        return this.#flow.done(argument);
      case EVENT.again:
        return this.#flow.choose(argument);
      case EVENT.loaded:
        return this.#life.loaded(argument);
      case EVENT.tick: {
        const node = nodes[argument];
        if (node?.lookDueMs !== timeline.nowMs) return;
        return this.#planner.look(node);
      }
      case EVENT.noticed: {
        const node = nodes[argument];
        if (node !== undefined) this.#planner.hear(node);
        return;
      }
      case EVENT.tell: {
        const node = nodes[argument];
        if (node !== undefined) this.#planner.tell(node);
        return;
      }
      case EVENT.heard: {
        const version = versions[argument];
        if (version !== undefined) this.#state.refreshVisible(version);
        return;
      }
      case EVENT.order: {
        const order = this.#state.scenario.orders?.[argument];
        if (order !== undefined) this.#obey(order);
        return;
      }
      case EVENT.incident: {
        const node = nodes[argument];
        if (node !== undefined) this.#incident(node);
        return;
      }
      case EVENT.second:
        this.#book();
        return timeline.after(1_000, EVENT.second, 0);
    }
  }

  /** A node joins, is lost, or leaves the views of those who have not noticed yet. */
  #incident(node: SimNode): void {
    const { nowMs, versions } = this.#state;
    if (nowMs >= node.spec.diesAtMs) {
      if (node.alive) {
        node.alive = false;
        this.#flow.lose(node);
      } else {
        for (const index of node.replicas.keys()) {
          const version = versions[index];
          if (version === undefined) continue;
          this.#state.refreshVisible(version);
          this.#tellOfDeath(version, node);
        }
      }
    } else node.alive = true;
  }

  /** Those who have a part in what a lost node served look at their plans when they hear of it. */
  #tellOfDeath(version: SimVersion, lost: SimNode): void {
    const { timeline, gossip } = this.#state;
    for (const other of version.replicas.keys()) {
      timeline.after(gossip.delayMs(lost.index, other, DEATHS), EVENT.noticed, other);
    }
  }

  #book(): void {
    const { versions, nodes, nowMs } = this.#state;
    this.#ledger.count();
    for (const version of versions) {
      let [ready, loading, desired] = [0, 0, 0];
      for (const replica of version.replicas.values()) {
        const node = nodes[replica.node];
        if (node === undefined || !node.alive) continue;
        if (replica.state === 'loading') loading += 1;
        if (replica.state !== 'ready') continue;
        ready += 1;
        const plan = node.plan?.versions.find(({ cid }) => cid === version.cid);
        desired = Math.max(desired, plan?.desired ?? 0);
      }
      this.#records[version.index]?.book(nowMs, { ready, loading, desired });
    }
    this.#seconds += 1;
    this.#emptyNodes += nodes.filter((node) => node.alive && node.told.serving === 0).length;
  }
}

/** Runs a scenario to its end. Pure: the same scenario gives the same outcome. */
export function simulateSwarm(scenario: SwarmScenario): SwarmOutcome {
  const simulation = new SwarmSimulation(scenario);
  while (simulation.step());
  return simulation.outcome();
}
