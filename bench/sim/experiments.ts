import {
  DEFAULT_DOWN_DELAY_MS,
  DEFAULT_PANIC_WINDOW_MS,
  DEFAULT_TARGET_UTILISATION,
} from '../../src/policy/scaling/scaling-settings.ts';
import { clairvoyantReplicaMs } from '../../src/sim/scaling/clairvoyant.ts';
import { diurnalTrace, stepTrace, steadyTrace } from '../../src/sim/scaling/demand-trace.ts';
import {
  failedShare,
  meanReplicas,
  oscillations,
  recoveryMs,
  refusedShare,
  worstP99Ms,
} from '../../src/sim/scaling/outcome-figures.ts';
import type { PlotSection } from '../../src/sim/scaling/outcome-plot.ts';
import {
  createScenario,
  DEFAULT_FILE_BYTES,
  DEFAULT_LOAD_MS,
  type ScenarioInit,
  UPLINK_BYTES_PER_S,
} from '../../src/sim/scaling/scenario-init.ts';
import type { SwarmOutcome } from '../../src/sim/scaling/simulate-swarm.ts';
import type { SecondFigures } from '../../src/sim/scaling/swarm-record.ts';
import { DEFAULT_GOSSIP } from '../../src/sim/scaling/swarm-scenario.ts';
import { atMost, rounded, type Target } from '../report.ts';

const MINUTE_MS = 60_000;

/** What a day takes in the scenarios: a quarter of one, which is harder. */
const DAY_MS = 6 * 60 * MINUTE_MS;

/** What requests of these scenarios should be answered within, and what they have at most. */
const OBJECTIVE_MS = 1_000;
const DEADLINE_MS = 5_000;

/** Milliseconds of a request on a usual node. */
const SERVICE_MS = 100;

const LIAR_SHARE = 0.05;
const LIAR_SEEDS = [1, 2, 3] as const;

/** What the file of a version takes over one uplink. */
const FETCH_MS = (1_000 * DEFAULT_FILE_BYTES) / UPLINK_BYTES_PER_S;

/** One line of the table. */
export interface SimRow {
  readonly experiment: string;
  readonly seed: number;
  readonly nodes: number;
  readonly requests: number;
  readonly events: number;
  /** Events that one core simulated in a second. */
  readonly eventsPerS: number;
  readonly failedShare: number;
  readonly p99Ms: number;
  readonly replicas: number;
  readonly gossipBytesPerS: number;
}

export interface ExperimentResult {
  readonly rows: readonly SimRow[];
  readonly targets: readonly Target[];
  readonly plots: readonly PlotSection[];
}

/** Runs a scenario and tells what came of it. */
export type RunScenario = (
  experiment: string,
  init: ScenarioInit,
) => Promise<{ readonly outcome: SwarmOutcome; readonly row: SimRow }>;

/** Replicas that one would order for a crowd who saw it all: what demand needs, and half as many again for what waits, as a plan may. */
const CROWD_PER_S = 200;
const CROWD_REPLICAS = Math.ceil(
  (1.5 * CROWD_PER_S * SERVICE_MS) / 1_000 / DEFAULT_TARGET_UTILISATION,
);

/** What came to grief in a crowd of the requests that came later than it was to be noticed. */
interface CrowdHarm {
  readonly refused: number;
  readonly failed: number;
}

function harmOf({ records }: SwarmOutcome, fromMs: number): CrowdHarm {
  const isLater = ({ atMs }: SecondFigures) =>
    atMs <= fromMs || atMs > fromMs + DEFAULT_PANIC_WINDOW_MS;
  return { refused: refusedShare(records, isLater), failed: failedShare(records, isLater) };
}

function worst(harms: readonly CrowdHarm[], what: keyof CrowdHarm): number {
  return Math.max(...harms.map((harm) => harm[what]));
}

/**
 * Ten times as many callers of one version at once, of five; beside it one who foresees nothing, but orders all that is lacking in one
 * moment: that in which the crowd comes, or the end of the detection window. Nobody who fetches and loads in the same time can do
 * better than the first.
 */
export async function flashCrowd(run: RunScenario): Promise<ExperimentResult> {
  const fromMs = 2 * MINUTE_MS;
  const rows: SimRow[] = [];
  const times: number[] = [];
  const planned: CrowdHarm[] = [];
  const ordered: CrowdHarm[] = [];
  const orderedLate: CrowdHarm[] = [];
  const plots: PlotSection[] = [];
  for (const seed of [1, 2, 3, 4, 5]) {
    const init: ScenarioInit = {
      ...{ nodes: 100, clients: 1_000, versions: 5, hot: 1, restPerS: 60, seed },
      ...{ durationMs: 5 * MINUTE_MS, deadlineMs: DEADLINE_MS, serviceMs: SERVICE_MS },
      deployment: { latencyObjectiveMs: OBJECTIVE_MS },
      trace: stepTrace(20, { perS: CROWD_PER_S, fromMs, untilMs: Number.POSITIVE_INFINITY }),
    };
    const { outcome, row } = await run('flash crowd', init);
    for (const [name, atMs, harms] of [
      ['ordered at once', fromMs, ordered],
      ['ordered when detected', fromMs + DEFAULT_PANIC_WINDOW_MS, orderedLate],
    ] as const) {
      const orders = [{ atMs, version: 0, replicas: CROWD_REPLICAS }];
      const other = await run(`flash crowd, ${name}`, { ...init, orders });
      rows.push(other.row);
      harms.push(harmOf(other.outcome, fromMs));
    }
    const [record] = outcome.records;
    if (record === undefined) continue;
    rows.push(row);
    times.push(recoveryMs(record, fromMs, OBJECTIVE_MS) ?? Number.POSITIVE_INFINITY);
    planned.push(harmOf(outcome, fromMs));
    if (plots.length === 0) {
      const note =
        '100 nodes, one of five versions is asked for ten times as much from second 120 on';
      plots.push({ title: 'flash crowd', note, seconds: record.seconds });
    }
  }
  const meanMs = times.reduce((sum, ms) => sum + ms, 0) / times.length;
  const expectedMs = DEFAULT_PANIC_WINDOW_MS + FETCH_MS + DEFAULT_LOAD_MS;
  return {
    ...{ rows, plots },
    targets: [
      atMost('flash crowd x10: p99 back / (detection + fetch + load)', meanMs / expectedMs, 1.3),
      ...(['refused', 'failed'] as const).flatMap((what) => {
        const name = `requests ${what} outside the detection window`;
        const [ours, best, late] = [planned, ordered, orderedLate].map((one) => worst(one, what));
        return [
          atMost(name, ours ?? 0, 0.001),
          atMost(`${name}, all ordered as the crowd comes`, best ?? 0, 0.001),
          atMost(`${name} / all ordered when detected`, (ours ?? 0) / (late ?? 1), 1),
        ];
      }),
    ],
  };
}

/** A day in six hours: demand goes up and down between a tenth and almost twice its mean, four times as fast as it does. */
export async function diurnal(run: RunScenario): Promise<ExperimentResult> {
  const init: ScenarioInit = {
    ...{ nodes: 40, clients: 400, versions: 1, durationMs: DAY_MS, serviceMs: 500 },
    ...{ deadlineMs: 4 * DEADLINE_MS, spread: 1 },
    trace: diurnalTrace(20, { swing: 0.9, dayMs: DAY_MS }),
  };
  const { outcome, row } = await run('diurnal', init);
  const [record] = outcome.records;
  const [version] = createScenario(init).versions;
  if (record === undefined || version === undefined) throw new Error('scenario has no version');
  const oracleMs = clairvoyantReplicaMs({
    ...{ version, durationMs: init.durationMs, targetUtilisation: DEFAULT_TARGET_UTILISATION },
    leadMs: FETCH_MS + DEFAULT_LOAD_MS,
  });
  const note =
    '40 nodes, one version, a day in six hours; clairvoyant: as many replicas as each moment needs at 70 %';
  return {
    rows: [row],
    targets: [
      atMost('diurnal: replica seconds / clairvoyant', record.replicaMs / oracleMs, 1.2),
      atMost('diurnal: requests failed', failedShare(outcome.records), 0.001),
    ],
    plots: [{ title: 'a day', note, seconds: record.seconds }],
  };
}

/** Steady demand in many seeds: whatever is done is not undone. */
export async function oscillation(run: RunScenario, seeds: number): Promise<ExperimentResult> {
  const rows: SimRow[] = [];
  let swung = 0;
  for (let seed = 1; seed <= seeds; seed += 1) {
    const { outcome, row } = await run('oscillation', {
      ...{ nodes: 20, clients: 200, versions: 4, durationMs: 20 * MINUTE_MS, serviceMs: 400, seed },
      ...{ spread: 4, deadlineMs: 4 * DEADLINE_MS },
      trace: steadyTrace(16),
    });
    if (rows.length === 0) rows.push(row);
    swung += oscillations(outcome, DEFAULT_DOWN_DELAY_MS);
  }
  const name = `versions scaled up and down within the cool-down, in ${seeds} seeds`;
  return { rows, targets: [atMost(name, swung, 0)], plots: [] };
}

/** Three nodes of ten are gone at once. */
export async function losses(run: RunScenario): Promise<ExperimentResult> {
  const atMs = 2 * MINUTE_MS;
  const rows: SimRow[] = [];
  const times: number[] = [];
  const plots: PlotSection[] = [];
  for (const seed of [1, 2, 3]) {
    const { outcome, row } = await run('30 % lost', {
      ...{ nodes: 100, clients: 1_000, versions: 5, zipf: 0, seed },
      ...{ durationMs: 5 * MINUTE_MS, deadlineMs: DEADLINE_MS, losses: { share: 0.3, atMs } },
      deployment: { latencyObjectiveMs: OBJECTIVE_MS },
      trace: steadyTrace(300),
    });
    rows.push(row);
    for (const record of outcome.records) {
      times.push(recoveryMs(record, atMs, OBJECTIVE_MS) ?? Number.POSITIVE_INFINITY);
    }
    const [record] = outcome.records;
    if (plots.length === 0 && record !== undefined) {
      const note = '100 nodes, five versions; three of ten nodes are gone at second 120';
      plots.push({ title: '30 % of the nodes lost', note, seconds: record.seconds });
    }
  }
  const slowestMs = Math.max(...times);
  const expectedMs = DEFAULT_GOSSIP.detectMs + DEFAULT_LOAD_MS;
  return {
    ...{ rows, plots },
    targets: [
      atMost('30 % lost: slowest version back / (detection + load)', slowestMs / expectedMs, 1.3),
    ],
  };
}

/** One node of twenty lies, of its demand or of what it can do; each seed against itself without liars. */
export async function liars(run: RunScenario): Promise<ExperimentResult> {
  const rows: SimRow[] = [];
  const replicasOf = async (name: string, seed: number, lies?: ScenarioInit['liars']) => {
    const { outcome, row } = await run(name, {
      ...{ nodes: 100, clients: 1_000, versions: 3, durationMs: 15 * MINUTE_MS, seed },
      ...{ serviceMs: 400, deadlineMs: 4 * DEADLINE_MS, liars: lies },
      trace: steadyTrace(90),
    });
    if (seed === 1) rows.push(row);
    return meanReplicas(outcome.records, 10 * MINUTE_MS, 15 * MINUTE_MS);
  };
  const honest = new Map<number, number>();
  for (const seed of LIAR_SEEDS) {
    // With liars who tell the truth, so that chance has the same nodes in both.
    const truth = { share: LIAR_SHARE, exaggeration: 1, boast: 1 };
    honest.set(seed, await replicasOf('no liars', seed, truth));
  }
  const targets: Target[] = [];
  for (const [name, lie] of [
    ['tell of ten times the demand', { exaggeration: 10, boast: 1 }],
    ['tell of none', { exaggeration: 0, boast: 1 }],
    ['say they are eight times as fast', { exaggeration: 1, boast: 8 }],
  ] as const) {
    const moved: number[] = [];
    for (const [seed, before] of honest) {
      const lying = await replicasOf(`liars ${name}`, seed, { share: LIAR_SHARE, ...lie });
      moved.push(Math.abs(lying - before) / before);
    }
    targets.push(atMost(`5 % ${name}: replicas moved by, at most`, Math.max(...moved), 0.1));
  }
  return { rows, targets, plots: [] };
}

/** Bytes of gossip for each node, in swarms of three sizes with as many versions for each node. */
export async function gossip(run: RunScenario): Promise<ExperimentResult> {
  const rows: SimRow[] = [];
  for (const nodes of [100, 1_000, 10_000]) {
    const { row } = await run(`gossip of ${nodes}`, {
      ...{ nodes, clients: nodes, versions: nodes / 5, zipf: 0, durationMs: MINUTE_MS / 2 },
      ...{ serviceMs: 1_000, deadlineMs: 6 * DEADLINE_MS, memoryVersions: 2 },
      trace: steadyTrace(0.3 * nodes),
    });
    rows.push(row);
  }
  const bytes = rows.map(({ gossipBytesPerS }) => gossipBytesPerS);
  const name = 'gossip bytes a node and second: most / least of 100, 1 000 and 10 000 nodes';
  return { rows, targets: [atMost(name, Math.max(...bytes) / Math.min(...bytes), 1.1)], plots: [] };
}

/** 1 000 nodes 60 times apart in speed, 10 000 clients, 14 000 requests a second. */
export async function large(run: RunScenario, minutes: number): Promise<ExperimentResult> {
  const { outcome, row } = await run('large', {
    ...{
      nodes: 1_000,
      clients: 10_000,
      versions: 100,
      spread: 60,
      durationMs: minutes * MINUTE_MS,
    },
    ...{ serviceMs: 50, deadlineMs: DEADLINE_MS },
    trace: diurnalTrace(14_000, { swing: 0.3, dayMs: 60 * MINUTE_MS, phaseMs: 15 * MINUTE_MS }),
  });
  const [record] = outcome.records;
  const note =
    '1 000 nodes 60 times apart in speed, 10 000 clients, 100 versions by Zipf: the first of them';
  const plots = record === undefined ? [] : [{ title: 'large', note, seconds: record.seconds }];
  return { rows: [row], targets: [], plots };
}

export function toRow(
  experiment: string,
  init: ScenarioInit,
  { outcome, seconds }: { readonly outcome: SwarmOutcome; readonly seconds: number },
): SimRow {
  const { durationMs, nodes, seed = 1 } = init;
  return {
    ...{ experiment, seed, nodes, requests: outcome.requests, events: outcome.events },
    eventsPerS: rounded(outcome.events / seconds),
    failedShare: rounded(failedShare(outcome.records)),
    p99Ms: rounded(worstP99Ms(outcome.records)),
    replicas: rounded(meanReplicas(outcome.records, 0, durationMs)),
    gossipBytesPerS: rounded(outcome.gossipBytesPerS),
  };
}
