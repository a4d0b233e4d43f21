import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { seededRandom } from '../src/sim/random.ts';
import { type NodeSpec, poissonTraffic, type Traffic } from '../src/sim/traffic.ts';
import { epochNow } from '../test/support/paced-backend.ts';
import { type BenchHost, benchCommand, positiveNumber, someOf } from './command.ts';
import { CutNetwork } from './failover/network.ts';
import type { Sent } from './paced/client.ts';
import { type PacedNode, PacedSwarm } from './paced/swarm.ts';
import {
  atMost,
  type Column,
  describeCommit,
  describeMachine,
  printReport,
  rounded,
  type Target,
} from './report.ts';

const FAULTS = ['kill -9', 'SIGSTOP', 'network cut'] as const;

type Fault = (typeof FAULTS)[number];

const LOAD = 0.6;
const NODES = 3;
const SERVICE_MS = 50;

/** Clients, each in a process of its own. */
const CLIENTS = 3;

/** Milliseconds of traffic before the fault. */
const BEFORE_MS = 3_000;

/** Milliseconds that a request has. */
const DEADLINE_MS = 15_000;

const NOTE = `${NODES} whole nodes hold each answer back until its service time is over, ${SERVICE_MS} ms by 0.5 to 1.5: three that compute would share this machine's cores`;

interface FailoverRow {
  readonly fault: Fault;
  /** From the fault on. */
  readonly requests: number;
  readonly failed: number;
  /** What those that failed did with; empty when none did. */
  readonly failures: readonly string[];
  readonly p50BeforeMs: number;
  readonly p50Ms: number;
  readonly worstMs: number;
  /** Requests sent to the node after the fault, and seconds until the last of them. */
  readonly sentThere: number;
  readonly lastSentSeconds: number;
}

interface FailoverOptions {
  readonly faults: readonly Fault[];
  readonly seconds: number;
  readonly seed: number;
  readonly json: boolean;
}

/** `npm run bench -- failover`: what callers notice of a node that dies, freezes or is cut off. */
export function failoverCommand(host: BenchHost): Command {
  return benchCommand('failover', 'one of three nodes dies, freezes or is cut off under load')
    .option('--faults <list>', 'to measure', someOf(FAULTS), [...FAULTS])
    .option('--seconds <n>', 'after each fault', positiveNumber, 10)
    .option('--seed <n>', 'of the arrivals', positiveNumber, 1)
    .action(async (options: FailoverOptions) => {
      const machine = `${describeMachine()}; ${NOTE}`;
      const rows: FailoverRow[] = [];
      for (const fault of options.faults) {
        host.signal.throwIfAborted();
        host.progress(fault);
        const place = fault === 'network cut' ? await cuttable(host) : undefined;
        if (place !== null) rows.push(await measure(fault, place, options));
      }
      const targets = rows.flatMap(toTargets);
      const commit = await describeCommit();
      printReport({ bench: 'failover', machine, commit, rows, targets }, COLUMNS, options.json);
    });
}

/** A network that can be cut; null where this user may make none, so that the other faults are measured all the same. */
async function cuttable({ progress }: BenchHost): Promise<CutNetwork | null> {
  try {
    return await CutNetwork.create();
  } catch (error) {
    progress(`network cut is left out: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

async function measure(
  fault: Fault,
  place: CutNetwork | undefined,
  { seconds, seed }: FailoverOptions,
): Promise<FailoverRow> {
  await using network = place;
  const specs = Array.from({ length: NODES }, (_, index): NodeSpec => {
    return { name: String(index + 1), serviceMs: SERVICE_MS, pauses: [] };
  });
  const init = { nodes: specs, load: LOAD, clients: CLIENTS };
  const traffic = poissonTraffic(
    { ...init, warmUpMs: BEFORE_MS, countedMs: seconds * 1000 },
    seededRandom(seed),
  );
  await using swarm = await PacedSwarm.start({ specs, places: [network?.place] });
  const [victim] = swarm.nodes;
  if (victim === undefined) throw new Error('expected a node, found none');
  try {
    return await strike(fault, { swarm, victim, traffic, network });
  } finally {
    // Nothing else ends it, be it frozen or out of reach.
    victim.worker.kill();
  }
}

interface Scene {
  readonly swarm: PacedSwarm;
  readonly victim: PacedNode;
  readonly traffic: Traffic;
  readonly network: CutNetwork | undefined;
}

async function strike(fault: Fault, { swarm, victim, traffic, network }: Scene) {
  await using clients = await swarm.startClients('gpu-swarm', CLIENTS);
  const struck = Promise.withResolvers<number>();
  const sent = await swarm.run(clients, traffic, DEADLINE_MS, async (epochMs) => {
    await sleep(epochMs + BEFORE_MS - epochNow());
    if (fault === 'network cut') await network?.cut();
    else process.kill(victim.pid, fault === 'SIGSTOP' ? 'SIGSTOP' : 'SIGKILL');
    struck.resolve(epochNow() - epochMs);
  });
  return toRow(fault, { sent, victim: victim.id, faultMs: await struck.promise });
}

interface Findings {
  readonly sent: readonly Sent[];
  /** Peer id of the node that was struck. */
  readonly victim: string;
  /** When it was, in milliseconds of the traffic. */
  readonly faultMs: number;
}

function toRow(fault: Fault, { sent, victim, faultMs }: Findings): FailoverRow {
  // Those under way when it happened are hit too.
  const hit = sent.filter(({ atMs, latencyMs }) => atMs + latencyMs >= faultMs);
  const before = sent.filter(({ atMs, latencyMs }) => atMs + latencyMs < faultMs);
  const failures = hit.flatMap(({ code }) => (code === null ? [] : [code]));
  const there = sent
    .flatMap(({ sends }) => sends)
    .filter(({ node, atMs }) => node === victim && atMs > faultMs)
    .map(({ atMs }) => atMs - faultMs);
  return {
    fault,
    requests: hit.length,
    failed: failures.length,
    failures: [...new Set(failures)],
    p50BeforeMs: rounded(median(before)),
    p50Ms: rounded(median(hit)),
    worstMs: rounded(Math.max(0, ...hit.map(({ latencyMs }) => latencyMs))),
    sentThere: there.length,
    lastSentSeconds: rounded(Math.max(0, ...there) / 1000),
  };
}

function median(sent: readonly Sent[]): number {
  const sorted = sent.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}

function toTargets({ fault, failed, lastSentSeconds }: FailoverRow): Target[] {
  return [
    atMost(`${fault}: requests that failed`, failed, 0),
    atMost(`${fault}: seconds until none goes there`, lastSentSeconds, 3),
  ];
}

const COLUMNS: readonly Column<FailoverRow>[] = [
  { title: 'fault', value: ({ fault }) => fault },
  { title: 'requests', value: ({ requests }) => String(requests) },
  { title: 'failed', value: ({ failed }) => String(failed) },
  { title: 'with', value: ({ failures }) => failures.join(', ') },
  { title: 'p50 ms before', value: ({ p50BeforeMs }) => String(p50BeforeMs) },
  { title: 'p50 ms', value: ({ p50Ms }) => String(p50Ms) },
  { title: 'worst ms', value: ({ worstMs }) => String(worstMs) },
  { title: 'sent there', value: ({ sentThere }) => String(sentThere) },
  { title: 'last after s', value: ({ lastSentSeconds }) => String(lastSentSeconds) },
];
