import type { Command } from 'commander';
import { replayKnowingAll } from '../src/sim/oracle.ts';
import { seededRandom } from '../src/sim/random.ts';
import { type Outcome, tally } from '../src/sim/tally.ts';
import { type NodeSpec, poissonTraffic, randomPauses } from '../src/sim/traffic.ts';
import { ORACLE, POLICIES, type PolicyName } from './balance/policies.ts';
import { type BalanceRow, COLUMNS, toRow, toTargets } from './balance/row.ts';
import { SIMULATION_NOTE, simulateBalance } from './balance/simulated.ts';
import { type BenchHost, benchCommand, positiveNumber, someOf } from './command.ts';
import type { Sent } from './paced/client.ts';
import { PacedSwarm } from './paced/swarm.ts';
import { describeCommit, describeMachine, printReport } from './report.ts';

const LOADS = ['0.5', '0.8', '0.95'] as const;

/** Milliseconds that a request of work 1 takes on the fast nodes: long beside what a busy machine of two cores adds. */
const SERVICE_MS = 50;
const SLOW_FACTOR = 10;

/** How the one that pauses does: milliseconds apart on average, and the bounds of each pause. */
const PAUSES_APART_MS = 6_000;
const PAUSE_MS = [200, 600] as const;

/** Clients, each in a process of its own: none knows what the others have sent. */
const CLIENTS = 4;

/** Milliseconds from which on requests count: by then every client has measured every node. */
const WARM_UP_MS = 4_000;

/** Milliseconds that a request has. */
const DEADLINE_MS = 10_000;

/** Seconds that count: for a p99, and of a simulation so many that it takes a minute. */
const SECONDS = 20;
const SIMULATED_SECONDS = 2;

const NOTE = `four whole nodes on loopback hold each answer back until its service time is over (${SERVICE_MS} ms by 0.5 to 1.5, one node ${SLOW_FACTOR} times as long, one paused now and then): four that compute would share this machine's cores`;

interface BalanceOptions {
  readonly seconds?: number | undefined;
  readonly loads: readonly (typeof LOADS)[number][];
  readonly policies: readonly PolicyName[];
  readonly seed: number;
  readonly sim: boolean;
  readonly json: boolean;
}

/** `npm run bench -- balance`: how well each policy spreads the same requests, beside who knows all. */
export function balanceCommand(host: BenchHost): Command {
  return benchCommand('balance', 'clients that choose among unequal nodes, beside an oracle')
    .option(
      '--seconds <n>',
      `that count, of each policy at each load (default: ${SECONDS}, simulated ${SIMULATED_SECONDS})`,
      positiveNumber,
    )
    .option('--loads <list>', 'of the capacity', someOf(LOADS), [...LOADS])
    .option('--policies <list>', 'to measure', someOf(POLICIES), [...POLICIES])
    .option('--seed <n>', 'of the arrivals', positiveNumber, 1)
    .option('--sim', 'a swarm of 1 000 nodes and 10 000 clients, in simulated time', false)
    .action(async (options: BalanceOptions) => {
      const { sim, loads } = options;
      const machine = `${describeMachine()}; ${sim ? SIMULATION_NOTE : NOTE}`;
      const rows = sim
        ? await simulateBalance(
            { ...options, seconds: options.seconds ?? SIMULATED_SECONDS, loads: loads.map(Number) },
            host,
          )
        : await measure(options, host);
      const targets = toTargets(rows, POLICIES[0]);
      const commit = await describeCommit();
      printReport({ bench: 'balance', machine, commit, rows, targets }, COLUMNS, options.json);
    });
}

async function measure(
  options: BalanceOptions,
  { progress, signal }: BenchHost,
): Promise<BalanceRow[]> {
  const { loads, policies, seconds = SECONDS, seed } = options;
  const random = seededRandom(seed);
  const nodes = specs(WARM_UP_MS + seconds * 1000, random);
  const runs = loads.map((text) => {
    const load = Number(text);
    const init = { nodes, load, clients: CLIENTS, warmUpMs: WARM_UP_MS, countedMs: seconds * 1000 };
    return { load, traffic: poissonTraffic(init, random) };
  });
  const rows = runs.map(({ load, traffic }) =>
    toRow(ORACLE, load, tally(replayKnowingAll(traffic, nodes), nodes, traffic)),
  );
  await using swarm = await PacedSwarm.start({ specs: nodes });
  for (const policy of policies) {
    await using clients = await swarm.startClients(policy, CLIENTS);
    for (const { load, traffic } of runs) {
      signal.throwIfAborted();
      progress(`${policy} at ${load}`);
      const sent = await swarm.run(clients, traffic, DEADLINE_MS);
      rows.push(toRow(policy, load, tally(outcomesOf(sent, swarm), nodes, traffic)));
    }
  }
  return rows.sort((a, b) => a.load - b.load);
}

function specs(untilMs: number, random: () => number): NodeSpec[] {
  const pauses = randomPauses(untilMs, PAUSES_APART_MS, PAUSE_MS, random);
  return [
    { name: 'fast', serviceMs: SERVICE_MS, pauses: [] },
    { name: 'as fast', serviceMs: SERVICE_MS, pauses: [] },
    { name: 'pausing', serviceMs: SERVICE_MS, pauses },
    { name: 'slow', serviceMs: SLOW_FACTOR * SERVICE_MS, pauses: [] },
  ];
}

function outcomesOf(sent: readonly Sent[], swarm: PacedSwarm): Outcome[] {
  const indexes = new Map(swarm.nodes.map(({ id }, index) => [id, index]));
  return sent.map(({ atMs, work, latencyMs, node }) => ({
    ...{ atMs, work, latencyMs },
    node: node === null ? null : (indexes.get(node) ?? null),
  }));
}
