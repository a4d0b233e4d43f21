import type { LoadReport, NodeId, OwnerId, VersionCid } from '../../protocols/types.ts';
import { CallBudget, HEDGE_BUDGET, RETRY_BUDGET } from '../policy/call-budget.ts';
import { HedgeTimes } from '../policy/hedge.ts';
import { selectable, selectNode } from '../policy/node-choice.ts';
import { NodeRecord } from '../policy/node-record.ts';
import { type ProbePlan, planProbes } from '../policy/probe-plan.ts';
import type { Candidate, NodeSelector, RoutingRequest } from '../policy/routing.ts';
import type { EventQueue } from './event-queue.ts';
import { ELEMENTS, type SimulatedNode } from './simulated-node.ts';

export const VERSION = 'simulated' as VersionCid;

/** A node as one client sees it. */
export interface Peer {
  readonly index: number;
  readonly id: NodeId;
  readonly owner: OwnerId;
  readonly node: SimulatedNode;
  /** Milliseconds there and back. */
  readonly roundTripMs: number;
  /** What it last said to all, and when. */
  readonly announced: () => { readonly load: LoadReport; readonly atMs: number };
}

export interface PeerCandidate extends Candidate {
  readonly peer: Peer;
  readonly record: NodeRecord;
}

export interface SimulatedClientInit {
  readonly name: string;
  /** Its pool, where there are very many nodes. */
  readonly peers: readonly Peer[];
  /** Whether they are one. */
  readonly pooled: boolean;
  readonly events: EventQueue;
  readonly random: () => number;
  /** Chooses instead of the built-in policy. */
  readonly selector: NodeSelector | undefined;
}

/**
 * What a client knows and decides by: records, probes, choice, budgets and hedging times are those of a real one. Announcements
 * reach everybody at once; paths are constant, and known from the first measurement on.
 */
export class SimulatedClient {
  readonly name: string;
  readonly retries = new CallBudget(RETRY_BUDGET);
  readonly hedges = new CallBudget(HEDGE_BUDGET);
  readonly hedgeTimes = new HedgeTimes();
  readonly events: EventQueue;
  readonly random: () => number;
  readonly #selector: NodeSelector | undefined;
  readonly #pooled: boolean;
  readonly #known: readonly { readonly peer: Peer; readonly record: NodeRecord }[];
  /** Those whose path was measured. */
  readonly #measured = new Set<Peer>();
  #asked = false;

  constructor({ name, peers, pooled, events, random, selector }: SimulatedClientInit) {
    this.#pooled = pooled;
    this.name = name;
    this.events = events;
    this.random = random;
    this.#selector = selector;
    this.#known = peers.map((peer) => ({ peer, record: new NodeRecord(0) }));
  }

  candidates(): PeerCandidate[] {
    const { nowMs } = this.events;
    return this.#known.map(({ peer, record }): PeerCandidate => {
      const { load, atMs } = peer.announced();
      record.report(load, atMs, 0);
      return {
        ...{ peer, record },
        node: peer.id,
        owner: peer.owner,
        zone: '',
        load: record.load,
        loadAgeMs: record.loadAgeMs(nowMs),
        waiting: record.waiting,
        serviceMs: record.serviceMs(ELEMENTS),
        roundTripMs: this.#measured.has(peer) ? peer.roundTripMs : null,
        bytesPerMs: null,
        coolingUntilMs: record.coolingUntilMs,
        forbiddenUntilMs: 0,
        penaltyMs: record.penaltyMs(nowMs),
        startShare: record.startShare(nowMs),
        suspect: false,
        pooled: this.#pooled,
        refusedBytes: record.refusedBytes,
        wishesMet: 0,
        lastSentAtMs: record.lastSentAtMs,
      };
    });
  }

  /** Whom to ask first how busy they are; the first call of all asks nobody. */
  probePlan(routing: RoutingRequest): ProbePlan {
    const first = !this.#asked;
    this.#asked = true;
    if (first) return { nodes: [], waitMs: 0 };
    return planProbes(selectable(this.candidates(), routing, this.events.nowMs), this.random);
  }

  /** Asks nodes how busy they are; `done` is called once, when all have said so or the time is up. */
  probe({ nodes, waitMs }: ProbePlan, done: () => void): void {
    let owed = nodes.length;
    let told = false;
    const tell = (): void => {
      if (told) return;
      told = true;
      done();
    };
    for (const { peer, record } of this.#known) {
      if (!nodes.includes(peer.id)) continue;
      this.#ask(peer, record, () => {
        owed -= 1;
        if (owed === 0) tell();
      });
    }
    if (owed === 0 || waitMs === 0) tell();
    else this.events.after(waitMs, tell);
  }

  choose(candidates: readonly PeerCandidate[], routing: RoutingRequest): PeerCandidate | undefined {
    const context = { nowMs: this.events.nowMs, random: this.random };
    if (this.#selector === undefined) return selectNode(candidates, routing, context);
    const open = selectable(candidates, routing, context.nowMs);
    if (open.length === 0) return undefined;
    const id = this.#selector(open, routing, context);
    return open.find(({ node }) => node === id);
  }

  /** The path to a node was measured by an answer. */
  measured(peer: Peer): void {
    this.#measured.add(peer);
  }

  #ask(peer: Peer, record: NodeRecord, answered: () => void): void {
    this.events.after(peer.roundTripMs / 2, () => {
      const { momentaryLoad: load } = peer.node;
      this.events.after(peer.roundTripMs / 2, () => {
        this.measured(peer);
        record.report(load, this.events.nowMs);
        answered();
      });
    });
  }
}
