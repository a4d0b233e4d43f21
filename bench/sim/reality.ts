import { setTimeout as sleep } from 'node:timers/promises';
import { type DemandTrace, stepTrace } from '../../src/sim/scaling/demand-trace.ts';
import { failedShare, meanReplicas, worstP99Ms } from '../../src/sim/scaling/outcome-figures.ts';
import type { PlotSection } from '../../src/sim/scaling/outcome-plot.ts';
import type { ScenarioInit } from '../../src/sim/scaling/scenario-init.ts';
import { VersionRecord } from '../../src/sim/scaling/swarm-record.ts';
import { exponential, seededRandom, uniform } from '../../src/sim/random.ts';
import { type Arrival, type NodeSpec, type Traffic, WORK } from '../../src/sim/traffic.ts';
import { epochNow } from '../../test/support/paced-backend.ts';
import type { BenchHost } from '../command.ts';
import { MODEL_BYTES } from '../paced/model.ts';
import type { HeldReplicas } from '../paced/node.ts';
import { type PacedNode, PacedSwarm } from '../paced/swarm.ts';
import { atMost, rounded } from '../report.ts';
import type { ExperimentResult, RunScenario, SimRow } from './experiments.ts';

const NODES = 4;
const CLIENTS = 2;

/** Ten requests a second at one node. */
const SERVICE_MS = 100;

const DURATION_MS = 100_000;
const DEADLINE_MS = 5_000;

/** What one replica can do, then what four are needed for, then as before. */
const TRACE = stepTrace(5, { perS: 24, fromMs: 20_000, untilMs: 60_000 });
const MOST_PER_S = 24;

/** A tenth of what a swarm has by default, so that what takes minutes takes seconds. */
const SCALING = {
  ...{ stableWindowMs: 6_000, panicWindowMs: 600, tickMs: 200 },
  ...{ upDelayMs: 600, downDelayMs: 10_000, claimSpreadMs: 100, recruitIntervalMs: 1_000 },
};

const DEPLOYMENT = { minReplicas: 1, maxReplicas: NODES, maxBatch: 1 };

/** Between processes of one machine, of which none is lost. */
const GOSSIP = { leastDelayMs: 1, meanDelayMs: 10, loss: 0 };

/** Whole swarms that are run, and simulated ones: one of each is an accident. */
const RUNS = 3;

/** Milliseconds between two looks at who has the model. */
const LOOK_MS = 100;

/** The same crowd that comes and goes on four whole nodes, each a process, and on four simulated ones. */
export async function reality(
  run: RunScenario,
  { progress, signal }: BenchHost,
): Promise<ExperimentResult> {
  const rows: SimRow[] = [];
  const real: VersionRecord[] = [];
  const loadsMs: number[] = [];
  for (let seed = 1; seed <= RUNS; seed += 1) {
    signal.throwIfAborted();
    progress(`reality, whole nodes, seed ${seed}`);
    const lived = await live(seed);
    real.push(lived.record);
    loadsMs.push(...lived.loadsMs);
    rows.push(rowOf(lived.record, seed));
  }
  const loadMs = loadsMs.reduce((sum, ms) => sum + ms, 0) / Math.max(1, loadsMs.length);
  const simulated: VersionRecord[] = [];
  for (let seed = 1; seed <= RUNS; seed += 1) {
    const { outcome, row } = await run('reality, simulated', scenarioOf(seed, loadMs));
    const [record] = outcome.records;
    if (record !== undefined) simulated.push(record);
    rows.push(row);
  }
  const note = `four nodes of ${1_000 / SERVICE_MS} requests a second, one model that takes ${rounded(loadMs / 1_000)} s to load`;
  return {
    rows,
    targets: [
      atMost('reality: p50 apart from the simulated', apart(p50sOf(real), p50sOf(simulated)), 0.2),
      atMost(
        'reality: replicas over time apart from the simulated',
        apart(replicasOf(real), replicasOf(simulated)),
        0.2,
      ),
    ],
    plots: [
      ...plotsOf('four whole nodes', note, real[0]),
      ...plotsOf('the same, simulated', note, simulated[0]),
    ],
  };
}

function scenarioOf(seed: number, loadMs: number): ScenarioInit {
  return {
    ...{ nodes: NODES, clients: CLIENTS, versions: 1, trace: TRACE, durationMs: DURATION_MS },
    ...{ serviceMs: SERVICE_MS, deadlineMs: DEADLINE_MS, fileBytes: MODEL_BYTES.byteLength },
    ...{ loadMs, deployment: DEPLOYMENT, settings: SCALING, gossip: GOSSIP, seed },
  };
}

/** What became of it in whole nodes, and how long each of their loads took. */
async function live(
  seed: number,
): Promise<{ readonly record: VersionRecord; readonly loadsMs: readonly number[] }> {
  const specs = Array.from({ length: NODES }, (_, index): NodeSpec => {
    return { name: `n${index + 1}`, serviceMs: SERVICE_MS, pauses: [] };
  });
  await using swarm = await PacedSwarm.start({
    ...{ specs, replicas: 1, deployment: DEPLOYMENT, scaling: SCALING },
  });
  await using clients = await swarm.startClients('gpu-swarm', CLIENTS);
  const traffic = trafficOf(TRACE, seededRandom(seed));
  const looks: HeldReplicas[][] = [];
  const sent = await swarm.run(clients, traffic, DEADLINE_MS, async (epochMs) => {
    for (let atMs = 0; atMs < DURATION_MS; atMs += LOOK_MS) {
      await sleep(Math.max(0, epochMs + atMs - epochNow()));
      looks.push(await Promise.all(swarm.nodes.map(held)));
    }
  });
  const record = new VersionRecord(DEADLINE_MS);
  const perSecond = 1_000 / LOOK_MS;
  for (let second = 0; second < DURATION_MS / 1_000; second += 1) {
    const fromMs = second * 1_000;
    for (const { atMs, latencyMs, node } of sent) {
      if (atMs < fromMs || atMs >= fromMs + 1_000) continue;
      record.offered();
      if (node === null) record.failed(atMs);
      else record.answered(atMs, latencyMs);
    }
    const nodes = looks[Math.min(looks.length - 1, (second + 1) * perSecond)] ?? [];
    record.book(fromMs + 1_000, { ...sumOf(nodes), desired: 0 });
  }
  record.end();
  return { record, loadsMs: specs.flatMap((_, index) => loadsOf(looks, index)) };
}

const held = async ({ worker }: PacedNode): Promise<HeldReplicas> => worker.ask('replicas', null);

function sumOf(nodes: readonly HeldReplicas[]): HeldReplicas {
  const count = (of: keyof HeldReplicas) => nodes.reduce((sum, node) => sum + node[of], 0);
  return { ready: count('ready'), loading: count('loading') };
}

/** Milliseconds of each load of one node, as far as it ended. */
function loadsOf(looks: readonly (readonly HeldReplicas[])[], node: number): number[] {
  const loadsMs: number[] = [];
  let loading = 0;
  for (const nodes of looks) {
    const now = nodes[node];
    if (loading > 0 && now?.ready === 1) loadsMs.push(loading * LOOK_MS);
    loading = now?.loading === 1 ? loading + 1 : 0;
  }
  return loadsMs;
}

/** Poisson arrivals at the rate of each moment, drawn at the highest and thinned. */
function trafficOf(trace: DemandTrace, random: () => number): Traffic {
  const arrivals: Arrival[] = [];
  const gapMs = 1_000 / MOST_PER_S;
  for (let atMs = exponential(gapMs, random); atMs < DURATION_MS; ) {
    if (random() * MOST_PER_S < trace(atMs)) {
      const client = Math.floor(random() * CLIENTS);
      arrivals.push({ atMs, client, work: uniform(...WORK, random) });
    }
    atMs += exponential(gapMs, random);
  }
  return { durationMs: DURATION_MS, countedFromMs: 0, arrivals };
}

/** Milliseconds of a usual request, of each run. */
function p50sOf(records: readonly VersionRecord[]): number[] {
  return [mean(records.map(({ all }) => all.quantileMs(0.5)))];
}

/** Replicas that are ready in each second, the mean over runs. */
function replicasOf(records: readonly VersionRecord[]): number[] {
  return Array.from({ length: DURATION_MS / 1_000 }, (_, second) =>
    mean(records.map(({ seconds }) => seconds[second]?.ready ?? 0)),
  );
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

/** How far two curves are apart, as a share of the second. */
function apart(values: readonly number[], others: readonly number[]): number {
  const gap = values.reduce((sum, value, index) => sum + Math.abs(value - (others[index] ?? 0)), 0);
  return gap / others.reduce((sum, value) => sum + value, 0);
}

function plotsOf(title: string, note: string, record: VersionRecord | undefined): PlotSection[] {
  return record === undefined ? [] : [{ title, note, seconds: record.seconds }];
}

function rowOf(record: VersionRecord, seed: number): SimRow {
  const requests = record.seconds.reduce((sum, { offered }) => sum + offered, 0);
  return {
    ...{ experiment: 'reality, whole nodes', seed, nodes: NODES, requests },
    ...{ events: 0, eventsPerS: 0, gossipBytesPerS: 0 },
    failedShare: rounded(failedShare([record])),
    p99Ms: rounded(worstP99Ms([record])),
    replicas: rounded(meanReplicas([record], 0, DURATION_MS)),
  };
}
