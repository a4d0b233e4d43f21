import type { NodeId } from '../../../protocols/types.ts';
import {
  DEFAULT_MAX_QUEUED,
  DEFAULT_MAX_QUEUED_BYTES,
  decideAdmission,
  estimateWaitMs,
  type RunWork,
} from '../../policy/admission.ts';
import { selectNode } from '../../policy/node-choice.ts';
import { POOL_NODES, selectPool } from '../../policy/node-pool.ts';
import { ALL_PROBED } from '../../policy/probe-plan.ts';
import { type Candidate, NOBODY, type RoutingRequest } from '../../policy/routing.ts';
import { MIN_RETRY_PAUSE_MS, RETRY_JITTER, retryPauseMs } from '../../policy/retry-pause.ts';
import { exponential, uniform } from '../random.ts';
import { WORK } from '../traffic.ts';
import { hashShare } from './gossip-model.ts';
import { drawNodes } from './node-draw.ts';
import type { ReplicaLife } from './replica-life.ts';
import { RequestTable } from './request-table.ts';
import type { SimNode, SimVersion, SwarmState } from './swarm-state.ts';
import type { VersionRecord } from './swarm-record.ts';
import { EVENT } from './timeline.ts';

/** Milliseconds between two looks at whether a version that is being woken serves yet. */
const WAKE_LOOK_MS = 250;

/** Regions that peers are in, and the milliseconds there and back, within one and between the farthest. */
const REGIONS = 8;
const ROUND_TRIP_MS = [2, 120] as const;

/** What marks a request that the node which has it was the first to count. */
const COUNTED_HERE = 2;

/** A rate is looked at anew after so long: what comes between two requests of a version nobody asks for. */
const MAX_GAP_MS = 1_000;

type MutableCandidate = { -readonly [Field in keyof Candidate]: Candidate[Field] } & {
  index: number;
};

/**
 * Requests from their arrival to their answer: clients choose by the policy that real ones have, nodes admit by theirs. Of each
 * request some numbers in typed arrays are kept, and no object.
 *
 * A probe takes no time of its own here: of the nodes that are drawn, the load is that of the moment of the choice.
 */
export class RequestFlow {
  readonly #state: SwarmState;
  readonly #records: readonly VersionRecord[];
  readonly #life: ReplicaLife;
  readonly #deadlineMs: number;
  readonly #table = new RequestTable();
  readonly #candidates: MutableCandidate[];
  readonly #request: RoutingRequest & { remainingMs: number; counted: boolean };
  readonly #context: { nowMs: number; readonly random: () => number };
  /** By client of a version: its pool, and the generation of nodes that it was drawn from. */
  readonly #pools: { generation: Int32Array; nodes: (readonly number[])[] }[];
  requests = 0;

  constructor(state: SwarmState, records: readonly VersionRecord[], life: ReplicaLife) {
    this.#state = state;
    this.#records = records;
    this.#life = life;
    this.#deadlineMs = state.scenario.deadlineMs;
    this.#candidates = Array.from({ length: ALL_PROBED }, () => newCandidate());
    this.#context = { nowMs: 0, random: state.random };
    const nobody = new Set<never>();
    this.#request = {
      ...{ bodyBytes: 4, remainingMs: 0, tried: nobody, failedOwners: nobody },
      ...{ avoid: NOBODY, affinity: undefined, counted: false },
    };
    this.#pools = state.versions.map(({ spec }) => ({
      generation: new Int32Array(spec.clients),
      nodes: [],
    }));
  }

  /** Begins to ask for every version. */
  start(): void {
    for (const version of this.#state.versions) this.#nextArrival(version);
  }

  /** A request comes, unless the rate has gone down meanwhile; and the next one is waited for. */
  arrive(index: number): void {
    const version = this.#state.versions[index];
    if (version === undefined) return;
    if (this.#came[index] === 1) {
      this.#records[index]?.offered();
      this.requests += 1;
      const client = Math.floor(this.#state.random() * version.spec.clients);
      this.choose(this.#table.open(index, client, this.#state.nowMs));
    }
    this.#nextArrival(version);
  }

  /** Whether the event that is waited for is a request, or only another look at the rate. */
  readonly #came: number[] = [];

  #nextArrival(version: SimVersion): void {
    const { timeline, random } = this.#state;
    const perS = version.spec.trace(timeline.nowMs);
    const gapMs = perS > 0 ? exponential(1_000 / perS, random) : Number.POSITIVE_INFINITY;
    this.#came[version.index] = gapMs <= MAX_GAP_MS ? 1 : 0;
    timeline.after(Math.min(gapMs, MAX_GAP_MS), EVENT.arrival, version.index);
  }

  /** A client picks the node that it sends a request to next. */
  choose(request: number): void {
    const { timeline, versions } = this.#state;
    const version = versions[this.#table.version[request] ?? 0];
    if (version === undefined) return;
    const remainingMs = this.#remainingMs(request);
    if (remainingMs <= 0) return this.#fail(request);
    if (version.visible.length === 0) {
      this.#life.wake(version);
      timeline.after(WAKE_LOOK_MS, EVENT.again, request);
      return;
    }
    const candidates = this.#candidatesOf(request, version);
    this.#request.remainingMs = remainingMs;
    this.#request.counted = this.#table.counted[request] !== 0;
    this.#context.nowMs = timeline.nowMs;
    const choice = selectNode(candidates, this.#request, this.#context);
    if (choice === undefined) return this.#nextRound(request);
    this.#table.node[request] = choice.index;
    timeline.after((choice.roundTripMs ?? 0) / 2, EVENT.reach, request);
  }

  /** A request is at its node, which takes it or refuses it. */
  reach(request: number): void {
    const { nodes, timeline } = this.#state;
    const index = this.#table.version[request] ?? 0;
    const node = nodes[this.#table.node[request] ?? 0];
    if (node === undefined) return;
    const replica = node.replicas.get(index);
    if (!node.alive || replica?.state !== 'ready')
      return this.#refuse(request, node, MIN_RETRY_PAUSE_MS);
    const serviceMs = this.#serviceMs(index, node);
    const decision = decideAdmission(
      {
        ...{ queued: replica.inFlight, maxQueued: DEFAULT_MAX_QUEUED, queuedBytes: 0 },
        ...{ maxQueuedBytes: DEFAULT_MAX_QUEUED_BYTES, callerQueued: 0, callerBytes: 0 },
        ...{ waitMs: this.#waitMs(node), serviceMs },
      },
      { deadlineMs: this.#remainingMs(request), bytes: 0 },
    );
    if (!decision.admitted) {
      if (this.#table.counted[request] === 0) replica.meter.refused(timeline.nowMs);
      this.#table.counted[request] = 1;
      this.#records[index]?.refused(this.#table.atMs[request] ?? 0);
      return this.#refuse(request, node, decision.retryAfterMs);
    }
    if (this.#table.counted[request] === 0) {
      replica.meter.arrived(timeline.nowMs);
      this.#table.counted[request] = COUNTED_HERE;
    }
    replica.inFlight += 1;
    this.#table.reachedMs[request] = timeline.nowMs;
    if (node.running < 0) this.#run(node, request);
    else {
      node.waiting.add(request);
      node.waitingMs += serviceMs;
    }
  }

  /** A node is done with what it ran, and goes on with what waits. */
  done(nodeIndex: number): void {
    const { nodes, timeline } = this.#state;
    const node = nodes[nodeIndex];
    if (node === undefined || !node.alive || node.running < 0) return;
    const { nowMs } = timeline;
    const request = node.running;
    const version = this.#table.version[request] ?? 0;
    const replica = node.replicas.get(version);
    const executedMs = nowMs - node.runningSinceMs;
    if (replica !== undefined) {
      replica.inFlight -= 1;
      if (this.#table.counted[request] === COUNTED_HERE) replica.meter.left(nowMs);
      replica.meter.served(
        node.runningSinceMs - (this.#table.reachedMs[request] ?? 0),
        executedMs,
        nowMs,
      );
    }
    node.busyMs += executedMs;
    const backMs = roundTripMs(this.#table.client[request] ?? 0, node.index) / 2;
    const cameAtMs = this.#table.atMs[request] ?? 0;
    this.#records[version]?.answered(cameAtMs, nowMs + backMs - cameAtMs);
    this.#table.close(request);
    node.running = -1;
    this.#runNext(node);
  }

  /** A node is lost with all that it had: its callers see their connections go. */
  lose(node: SimNode): void {
    for (let request = node.waiting.take(); request !== undefined; request = node.waiting.take()) {
      this.#refuse(request, node, MIN_RETRY_PAUSE_MS);
    }
    if (node.running >= 0) this.#refuse(node.running, node, MIN_RETRY_PAUSE_MS);
    node.running = -1;
    node.waitingMs = 0;
    for (const replica of node.replicas.values()) replica.inFlight = 0;
  }

  #runNext(node: SimNode): void {
    const next = node.waiting.take();
    if (next === undefined) return;
    node.waitingMs = Math.max(
      0,
      node.waitingMs - this.#serviceMs(this.#table.version[next] ?? 0, node),
    );
    this.#run(node, next);
  }

  #run(node: SimNode, request: number): void {
    const { timeline, random } = this.#state;
    node.running = request;
    node.runningSinceMs = timeline.nowMs;
    const serviceMs = this.#serviceMs(this.#table.version[request] ?? 0, node);
    timeline.after(uniform(...WORK, random) * serviceMs, EVENT.done, node.index);
  }

  #refuse(request: number, node: SimNode, retryAfterMs: number): void {
    if (this.#table.counted[request] === COUNTED_HERE) this.#table.counted[request] = 1;
    this.#table.refused(request, node.index, retryAfterMs);
    const backMs = roundTripMs(this.#table.client[request] ?? 0, node.index) / 2;
    this.#state.timeline.after(backMs, EVENT.again, request);
  }

  /** All were busy: again when the first of them said. */
  #nextRound(request: number): void {
    const retryMs = this.#table.retryMs[request] ?? 0;
    const rounds = (this.#table.rounds[request] ?? 0) + 1;
    const waitMs = Number.isFinite(retryMs)
      ? Math.max(MIN_RETRY_PAUSE_MS, retryMs)
      : retryPauseMs(rounds);
    if (waitMs >= this.#remainingMs(request)) return this.#fail(request);
    this.#table.beginRound(request);
    const stretched = waitMs * (1 + RETRY_JITTER * this.#state.random());
    this.#state.timeline.after(stretched, EVENT.again, request);
  }

  #fail(request: number): void {
    this.#records[this.#table.version[request] ?? 0]?.failed(this.#table.atMs[request] ?? 0);
    this.#table.close(request);
  }

  #candidatesOf(request: number, version: SimVersion): MutableCandidate[] {
    const client = this.#table.client[request] ?? 0;
    const open = this.#poolOf(client, version).filter(
      (node) => !this.#table.isTried(request, node),
    );
    const drawn = drawNodes(open, {
      pooled: version.visible.length > POOL_NODES,
      speedOf: (node) => this.#speedOf(node),
      random: this.#state.random,
    });
    const filled: MutableCandidate[] = [];
    for (const index of drawn) {
      const candidate = this.#candidates[filled.length];
      const node = this.#state.nodes[index];
      if (candidate === undefined || node === undefined) continue;
      this.#fill(candidate, node, version.index, client);
      filled.push(candidate);
    }
    return filled;
  }

  #fill(candidate: MutableCandidate, node: SimNode, version: number, client: number): void {
    const serviceMs = this.#serviceMs(version, node);
    const waiting = Math.round(node.waitingMs / serviceMs) + (node.running < 0 ? 0 : 1);
    candidate.index = node.index;
    candidate.node = node.id;
    candidate.owner = node.owner;
    candidate.waiting = waiting;
    candidate.load = {
      inFlight: Math.min(1, waiting),
      queued: Math.max(0, waiting - 1),
      slots: 1,
      serviceMs,
    };
    candidate.roundTripMs = roundTripMs(client, node.index);
  }

  /** The nodes among which a client chooses: of few all, of many its own, as long as the same ones serve. */
  #poolOf(client: number, version: SimVersion): readonly number[] {
    const { visible, generation } = version;
    if (visible.length <= POOL_NODES) return visible;
    const pools = this.#pools[version.index];
    const pool = pools?.nodes[client];
    if (pools === undefined) return visible;
    if (pool !== undefined && pools.generation[client] === generation) return pool;
    const candidates = visible.map((index) => ({
      ...{ index, node: this.#state.nodes[index]?.id ?? ('' as NodeId), zone: '' },
      owner: this.#state.nodes[index]?.owner ?? ('' as never),
      weight: this.#speedOf(index),
    }));
    const drawn = selectPool(candidates, `${version.cid} ${client}`).map(({ index }) => index);
    pools.nodes[client] = drawn;
    pools.generation[client] = generation;
    return drawn;
  }

  #speedOf(node: number): number {
    return this.#state.nodes[node]?.spec.speed ?? 1;
  }

  /** Milliseconds until a request that reached a node now would begin, by what the node expects. */
  #waitMs(node: SimNode): number {
    const runs: RunWork[] = [];
    if (node.running >= 0) {
      const expectedMs = this.#serviceMs(this.#table.version[node.running] ?? 0, node);
      runs.push({ expectedMs, runningMs: this.#state.nowMs - node.runningSinceMs });
    }
    return estimateWaitMs({ runs, parallel: 1, queuedMs: node.waitingMs });
  }

  #serviceMs(version: number, node: SimNode): number {
    return (this.#state.versions[version]?.spec.serviceMs ?? 1) / node.spec.speed;
  }

  #remainingMs(request: number): number {
    return (this.#table.atMs[request] ?? 0) + this.#deadlineMs - this.#state.nowMs;
  }
}

/** By the regions of the two, the same there and back. */
const REGION_TRIPS = Array.from({ length: REGIONS * REGIONS }, (_, pair) => {
  const [a, b] = [pair % REGIONS, Math.floor(pair / REGIONS)];
  const [nearMs, farMs] = ROUND_TRIP_MS;
  if (a === b) return nearMs;
  return nearMs * (farMs / nearMs) ** hashShare(Math.min(a, b), Math.max(a, b), 0, 1);
});

function roundTripMs(client: number, node: number): number {
  return REGION_TRIPS[(client % REGIONS) * REGIONS + (node % REGIONS)] ?? 0;
}

function newCandidate(): MutableCandidate {
  return {
    ...{ index: 0, node: '' as NodeId, owner: '' as never, zone: '', loadAgeMs: 0, waiting: 0 },
    ...{ load: { inFlight: 0, queued: 0, slots: 1, serviceMs: null }, serviceMs: null },
    ...{ roundTripMs: null, bytesPerMs: null, coolingUntilMs: 0, penaltyMs: 0, startShare: 1 },
    ...{ suspect: false, refusedBytes: Number.POSITIVE_INFINITY, wishesMet: 0, lastSentAtMs: 0 },
    ...{ forbiddenUntilMs: 0, pooled: false },
  };
}
