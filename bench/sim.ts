import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Command } from 'commander';
import { type PlotSection, plotOutcomes } from '../src/sim/scaling/outcome-plot.ts';
import { createScenario } from '../src/sim/scaling/scenario-init.ts';
import { SwarmSimulation } from '../src/sim/scaling/simulate-swarm.ts';
import {
  type BenchHost,
  benchCommand,
  positiveInteger,
  positiveNumber,
  someOf,
} from './command.ts';
import {
  type Column,
  describeCommit,
  describeMachine,
  printReport,
  type Target,
} from './report.ts';
import { calibration } from './sim/calibration.ts';
import {
  diurnal,
  type ExperimentResult,
  flashCrowd,
  gossip,
  large,
  liars,
  losses,
  oscillation,
  type RunScenario,
  type SimRow,
  toRow,
} from './sim/experiments.ts';
import { reality } from './sim/reality.ts';

const EXPERIMENTS = [
  'flash',
  'losses',
  'liars',
  'diurnal',
  'oscillation',
  'gossip',
  'large',
  'reality',
  'calibration',
] as const;

type ExperimentName = (typeof EXPERIMENTS)[number];

/** Seeds of the look for oscillations, and simulated minutes of the large swarm. */
const SEEDS = 100;
const LARGE_MINUTES = 0.5;

const PLOT = path.join(import.meta.dirname, 'results', 'sim.html');

interface SimOptions {
  readonly only: readonly ExperimentName[];
  readonly seeds: number;
  readonly minutes: number;
  readonly plot: string;
  readonly json: boolean;
}

const COLUMNS: readonly Column<SimRow>[] = [
  { title: 'experiment', value: ({ experiment }) => experiment },
  { title: 'seed', value: ({ seed }) => String(seed) },
  { title: 'nodes', value: ({ nodes }) => String(nodes) },
  { title: 'requests', value: ({ requests }) => String(requests) },
  { title: 'events/s', value: ({ eventsPerS }) => String(eventsPerS) },
  { title: 'failed', value: ({ failedShare }) => String(failedShare) },
  { title: 'p99 ms', value: ({ p99Ms }) => String(p99Ms) },
  { title: 'replicas', value: ({ replicas }) => String(replicas) },
  { title: 'gossip B/s', value: ({ gossipBytesPerS }) => String(gossipBytesPerS) },
];

/** `npm run bench -- sim`: how the swarm scales itself, in simulated time, beside who knows all ahead. */
export function simCommand(host: BenchHost): Command {
  return benchCommand('sim', 'a swarm that scales itself, in simulated time')
    .option('--only <list>', 'experiments', someOf(EXPERIMENTS), [...EXPERIMENTS])
    .option('--seeds <n>', 'of the look for oscillations', positiveInteger, SEEDS)
    .option('--minutes <n>', 'that the large swarm is simulated for', positiveNumber, LARGE_MINUTES)
    .option('--plot <file>', 'the page with the curves', PLOT)
    .action(async (options: SimOptions) => {
      const machine = `${describeMachine()}; one core, simulated time`;
      const rows: SimRow[] = [];
      const targets: Target[] = [];
      const plots: PlotSection[] = [];
      for (const name of options.only) {
        const result = await experiment(name, host, options);
        rows.push(...result.rows);
        targets.push(...result.targets);
        plots.push(...result.plots);
      }
      await writeFile(options.plot, plotOutcomes('A swarm that scales itself', plots));
      const commit = await describeCommit();
      printReport({ bench: 'sim', machine, commit, rows, targets }, COLUMNS, options.json);
    });
}

function experiment(
  name: ExperimentName,
  host: BenchHost,
  { seeds, minutes }: SimOptions,
): Promise<ExperimentResult> {
  const run = runner(host);
  switch (name) {
    case 'flash':
      return flashCrowd(run);
    case 'losses':
      return losses(run);
    case 'liars':
      return liars(run);
    case 'diurnal':
      return diurnal(run);
    case 'oscillation':
      return oscillation(run, seeds);
    case 'gossip':
      return gossip(run);
    case 'large':
      return large(run, minutes);
    case 'reality':
      return reality(run, host);
    case 'calibration':
      return calibration(host);
  }
}

function runner({ progress, signal }: BenchHost): RunScenario {
  return async (name, init) => {
    progress(`${name}, seed ${init.seed ?? 1}`);
    const startMs = performance.now();
    const simulation = new SwarmSimulation(createScenario(init));
    while (simulation.step()) {
      // A simulation has nothing to wait for: without this nobody could end it.
      await setImmediate();
      signal.throwIfAborted();
    }
    const outcome = simulation.outcome();
    const seconds = (performance.now() - startMs) / 1_000;
    return { outcome, row: toRow(name, init, { outcome, seconds }) };
  };
}
