import type { LoadReport, NodeId, OwnerId } from '../../protocols/types.ts';
import { POOL_NODES, selectPool } from '../policy/node-pool.ts';
import type { NodeSelector } from '../policy/routing.ts';
import { EventQueue } from './event-queue.ts';
import { seededRandom } from './random.ts';
import { SimulatedCall } from './simulated-call.ts';
import { type Peer, SimulatedClient } from './simulated-client.ts';
import { SimulatedNode } from './simulated-node.ts';
import type { Outcome } from './tally.ts';
import type { NodeSpec, Traffic } from './traffic.ts';

export interface SwarmSpec {
  readonly nodes: readonly NodeSpec[];
  readonly clients: number;
  /** Milliseconds from a client to a node and back, by their indexes. */
  readonly roundTripMs: (client: number, node: number) => number;
  /** Milliseconds between two announcements of a node. */
  readonly announceIntervalMs: number;
}

export interface SimulationInit {
  readonly swarm: SwarmSpec;
  /** The nodes that each client chooses among, by their indexes. @see drawPools */
  readonly pools: readonly (readonly number[])[];
  readonly traffic: Traffic;
  /** Chooses instead of the built-in policy, for each client one of its own. @default the policy */
  readonly selector?: (() => NodeSelector) | undefined;
  readonly deadlineMs: number;
  readonly seed: number;
}

/** Before a node has announced itself, and before it measured anything. */
const UNKNOWN: LoadReport = { inFlight: 0, queued: 0, slots: 1, serviceMs: null };

/**
 * The nodes among which each client chooses, by their indexes: of few all, of many its pool. It depends on the swarm alone, and
 * drawing it for very many clients takes longer than most that is tried with it.
 */
export function drawPools({ nodes, clients }: SwarmSpec): number[][] {
  const all = nodes.map(({ serviceMs }, index) => ({
    index,
    node: idOf(index),
    owner: ownerOf(index),
    zone: '',
    weight: 1 / serviceMs,
  }));
  return Array.from({ length: clients }, (_, client) => {
    if (all.length <= POOL_NODES) return all.map(({ index }) => index);
    return selectPool(all, clientName(client)).map(({ index }) => index);
  });
}

/** Runs the traffic through a swarm of its own, and tells how each request ended, in the order they came. Pure. */
export function simulate(init: SimulationInit): Outcome[] {
  const { swarm, pools, traffic, selector, deadlineMs, seed } = init;
  const random = seededRandom(seed);
  const events = new EventQueue();
  const nodes = swarm.nodes.map((spec) => new SimulatedNode(spec, events));
  const announced = announceFrom(nodes, swarm, { events, random, untilMs: traffic.durationMs });
  const clients = new Map<number, SimulatedClient>();
  const clientOf = (index: number): SimulatedClient => {
    let client = clients.get(index);
    if (client === undefined) {
      const peers = (pools[index] ?? []).flatMap((node): Peer[] => {
        const simulated = nodes[node];
        if (simulated === undefined) return [];
        return [
          {
            index: node,
            id: idOf(node),
            owner: ownerOf(node),
            node: simulated,
            roundTripMs: swarm.roundTripMs(index, node),
            announced: () => announced[node] ?? { load: UNKNOWN, atMs: 0 },
          },
        ];
      });
      client = new SimulatedClient({
        ...{ name: clientName(index), peers, events, random },
        pooled: peers.length < nodes.length,
        selector: selector?.(),
      });
      clients.set(index, client);
    }
    return client;
  };
  const outcomes: Outcome[] = [];
  for (const arrival of traffic.arrivals) {
    events.at(arrival.atMs, () => {
      const onEnd = (outcome: Outcome): void => void outcomes.push(outcome);
      const client = clientOf(arrival.client);
      new SimulatedCall({ client, arrival, deadlineMs, onEnd }).start();
    });
  }
  events.run();
  return outcomes.sort((a, b) => a.atMs - b.atMs);
}

interface Announcement {
  readonly load: LoadReport;
  readonly atMs: number;
}

/** Each node tells all how busy it is now and then, beginning at a moment of its own. */
function announceFrom(
  nodes: readonly SimulatedNode[],
  { announceIntervalMs }: SwarmSpec,
  {
    events,
    random,
    untilMs,
  }: { readonly events: EventQueue; readonly random: () => number; readonly untilMs: number },
): Announcement[] {
  const announced: Announcement[] = nodes.map(({ spec }) => ({
    // Whoever joins has heard of them before: what they measured when they were tried.
    load: { ...UNKNOWN, serviceMs: spec.serviceMs },
    atMs: -announceIntervalMs,
  }));
  nodes.forEach((node, index) => {
    const announce = (): void => {
      const { load } = node;
      announced[index] = {
        load: { ...load, serviceMs: load.serviceMs ?? node.spec.serviceMs },
        atMs: events.nowMs,
      };
      if (events.nowMs + announceIntervalMs < untilMs) events.after(announceIntervalMs, announce);
    };
    events.at(random() * announceIntervalMs, announce);
  });
  return announced;
}

function idOf(index: number): NodeId {
  return `node-${index}` as NodeId;
}

function ownerOf(index: number): OwnerId {
  return `owner-${index}` as OwnerId;
}

function clientName(index: number): string {
  return `client-${index}`;
}
