import { setImmediate } from 'node:timers/promises';
import { stableHash } from '../../src/policy/stable-hash.ts';
import { replayKnowingAll } from '../../src/sim/oracle.ts';
import { seededRandom } from '../../src/sim/random.ts';
import { drawPools, type SwarmSpec, simulate } from '../../src/sim/simulation.ts';
import { tally } from '../../src/sim/tally.ts';
import { type NodeSpec, poissonTraffic } from '../../src/sim/traffic.ts';
import type { BenchHost } from '../command.ts';
import { ORACLE, type PolicyName, selectorOf } from './policies.ts';
import { type BalanceRow, toRow } from './row.ts';

const NODES = 1_000;
const CLIENTS = 10_000;

/** Milliseconds of one request on the fastest node, and how many times as long it takes on the slowest. */
const FASTEST_MS = 10;
const SPREAD = 60;

/** Milliseconds from a client to a node and back: within a country, and over an ocean. */
const ROUND_TRIP_MS = [2, 120] as const;

/** As a node has it by default: what is announced is old news to everybody. */
const ANNOUNCE_INTERVAL_MS = 10_000;

const WARM_UP_MS = 2_000;
const DEADLINE_MS = 5_000;

/** What the table says of itself. */
export const SIMULATION_NOTE = `simulated: ${NODES} nodes of ${FASTEST_MS} to ${FASTEST_MS * SPREAD} ms, ${CLIENTS} clients ${ROUND_TRIP_MS.join(' to ')} ms away`;

export interface SimulatedBalance {
  readonly loads: readonly number[];
  readonly policies: readonly PolicyName[];
  readonly seconds: number;
  readonly seed: number;
}

/** The same table, of a swarm that no machine here could hold. */
export async function simulateBalance(
  { loads, policies, seconds, seed }: SimulatedBalance,
  { progress, signal }: BenchHost,
): Promise<BalanceRow[]> {
  const random = seededRandom(seed);
  const nodes = unequalNodes(random);
  const swarm: SwarmSpec = {
    nodes,
    clients: CLIENTS,
    roundTripMs: distanceMs,
    announceIntervalMs: ANNOUNCE_INTERVAL_MS,
  };
  const pools = drawPools(swarm);
  const rows: BalanceRow[] = [];
  for (const load of loads) {
    const countedMs = seconds * 1000;
    const init = { nodes, load, clients: CLIENTS, warmUpMs: WARM_UP_MS, countedMs };
    const traffic = poissonTraffic(init, random);
    const oracle = tally(replayKnowingAll(traffic, nodes), nodes, traffic);
    rows.push(toRow(ORACLE, load, oracle));
    for (const policy of policies) {
      // A simulation has nothing to wait for: without this nobody could end it.
      await setImmediate();
      signal.throwIfAborted();
      progress(`${policy} at ${load}, simulated`);
      const own = selectorOf(policy);
      const selector = own && (() => selectorOf(policy) ?? own);
      const outcomes = simulate({
        ...{ swarm, pools, traffic, selector, seed },
        deadlineMs: DEADLINE_MS,
      });
      rows.push(toRow(policy, load, tally(outcomes, nodes, traffic)));
    }
  }
  return rows;
}

/** Speeds alike on a logarithmic scale: as many nodes between one and two times as between 30 and 60. */
function unequalNodes(random: () => number): NodeSpec[] {
  return Array.from({ length: NODES }, (_, index) => ({
    name: `node ${index}`,
    serviceMs: FASTEST_MS * SPREAD ** random(),
    pauses: [],
  }));
}

function distanceMs(client: number, node: number): number {
  const [nearMs, farMs] = ROUND_TRIP_MS;
  return nearMs * (farMs / nearMs) ** (stableHash(`${client} ${node}`) / 2 ** 32);
}
