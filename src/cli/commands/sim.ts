import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import {
  type DemandTrace,
  diurnalTrace,
  parseTrace,
  stepTrace,
  steadyTrace,
} from '../../sim/scaling/demand-trace.ts';
import { failedShare, meanReplicas, worstP99Ms } from '../../sim/scaling/outcome-figures.ts';
import { plotOutcomes } from '../../sim/scaling/outcome-plot.ts';
import { createScenario, type ScenarioInit } from '../../sim/scaling/scenario-init.ts';
import { type SwarmOutcome, SwarmSimulation } from '../../sim/scaling/simulate-swarm.ts';
import type { SecondFigures } from '../../sim/scaling/swarm-record.ts';
import { readBoundedFile } from '../bounded-file.ts';
import type { CommandContext } from '../command-context.ts';
import type { CommandOptions } from '../command-spec.ts';
import { parseInteger } from '../config.ts';
import { EXIT } from '../exit-code.ts';
import { counted } from '../figures.ts';
import { checkNewFile, writeNewFile } from '../new-file.ts';
import { formatDuration, parseDuration, parseNumber, parseShare, type Range } from '../quantity.ts';
import { printTable } from '../table.ts';

/** Bytes of a trace: a line for each second of a day, and more. */
const MAX_TRACE_BYTES = 4 * 1024 * 1024;

/** Lines of the table: more would not be read. */
const TABLE_LINES = 20;

/** Times as many requests in a flash crowd or after a step, and when of the time each begins and ends. */
const FLASH_TIMES = 10;
const STEP_TIMES = 3;
const FLASH_SHARE = [0.3, 0.6] as const;

/** Of the mean by which a day goes up and down. */
const DIURNAL_SWING = 0.9;

/** `swarm sim`: the plans of many nodes in a time of their own. */
export async function runSim(
  { terminal, cwd, signal }: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const init = await scenarioInit(options, { cwd, signal });
  const plotFile = options['plot'];
  const plot = typeof plotFile === 'string' ? path.resolve(cwd, plotFile) : undefined;
  if (plot !== undefined) await checkNewFile(plot);
  if (!terminal.json) {
    // Large ones take minutes, of which a terminal alone hears.
    terminal.note(
      `simulating ${formatDuration(init.durationMs)} of ${counted(init.nodes, 'node')}, ${counted(init.clients, 'client')} and ${counted(init.versions, 'version')}; --help says how to have others`,
    );
  }
  const startMs = performance.now();
  const simulation = new SwarmSimulation(createScenario(init));
  while (simulation.step()) {
    // A simulation has nothing to wait for: without this no signal would be heard.
    await setImmediate();
    signal.throwIfAborted();
    terminal.live([`${formatDuration(1_000 * Math.round(simulation.nowMs / 1_000))} simulated`]);
  }
  terminal.live([]);
  const outcome = simulation.outcome();
  const seconds = outcome.records[0]?.seconds ?? [];
  for (const second of seconds) terminal.event({ event: 'second', version: 0, ...second });
  const eventsPerS = Math.round((1_000 * outcome.events) / (performance.now() - startMs));
  printSeconds(terminal, seconds);
  const figures = summary(outcome, init);
  terminal.event({ event: 'simulated', ...figures, eventsPerS });
  if (!terminal.json) {
    terminal.note(
      `${figures.requests} requests, ${Number((100 * figures.failedShare).toPrecision(2))} % failed, p99 ${Math.round(figures.p99Ms)} ms, ${figures.replicas.toPrecision(3)} replicas on average, ${eventsPerS} events a second`,
    );
  }
  if (plot !== undefined) {
    const note = `${init.nodes} nodes, ${init.clients} clients, ${init.versions} versions: the most wanted of them`;
    const page = plotOutcomes('A simulated swarm', [{ title: 'version 0', note, seconds }]);
    await writeNewFile(plot, Buffer.from(page));
  }
  return EXIT.ok;
}

async function scenarioInit(
  options: CommandOptions,
  { cwd, signal }: Pick<CommandContext, 'cwd' | 'signal'>,
): Promise<ScenarioInit> {
  // What is simulated where nothing is said takes seconds: whoever tries the command out must see what it gives.
  const durationMs = parseDuration(String(options['for'] ?? '5m'), '--for', [1_000, 86_400_000]);
  const perS = number(options, 'rate', 20, [0.001, 1_000_000]);
  const trace = String(options['trace'] ?? 'flash');
  const share = parseShare(String(options['lost'] ?? '0'), '--lost');
  const load = async (file: string): Promise<DemandTrace> => {
    const what = `trace ${file}`;
    const bytes = await readBoundedFile(path.resolve(cwd, file), {
      ...{ what, maxBytes: MAX_TRACE_BYTES, signal },
    });
    return parseTrace(bytes.toString('utf8'));
  };
  return {
    nodes: integer(options, 'nodes', 50, [1, 10_000]),
    clients: integer(options, 'clients', 200, [1, 100_000]),
    versions: integer(options, 'versions', 5, [1, 1_000]),
    spread: number(options, 'spread', 1, [1, 1_000]),
    seed: integer(options, 'seed', 1, [1, 1_000_000_000]),
    trace: namedTrace(trace, perS, durationMs) ?? (await load(trace)),
    ...(share === 0 ? {} : { losses: { share, atMs: durationMs / 2 } }),
    durationMs,
  };
}

function namedTrace(name: string, perS: number, durationMs: number): DemandTrace | undefined {
  const [from, until] = FLASH_SHARE;
  switch (name) {
    case 'steady':
      return steadyTrace(perS);
    case 'step':
      return stepTrace(perS, {
        perS: STEP_TIMES * perS,
        fromMs: from * durationMs,
        untilMs: Number.POSITIVE_INFINITY,
      });
    case 'flash':
      return stepTrace(perS, {
        perS: FLASH_TIMES * perS,
        fromMs: from * durationMs,
        untilMs: until * durationMs,
      });
    case 'diurnal':
      return diurnalTrace(perS, { swing: DIURNAL_SWING, dayMs: durationMs });
    default:
      return undefined;
  }
}

function printSeconds(
  terminal: CommandContext['terminal'],
  seconds: readonly SecondFigures[],
): void {
  const step = Math.max(1, Math.ceil(seconds.length / TABLE_LINES));
  const rows = seconds
    .filter((_, index) => index % step === 0)
    .map(({ atMs, offered, failed, ready, loading, desired, p50Ms, p99Ms }) => {
      return [atMs / 1_000, offered, failed, desired, ready, loading, p50Ms, p99Ms].map((value) =>
        String(Math.round(value)),
      );
    });
  const head = ['second', 'asked', 'failed', 'desired', 'ready', 'loading', 'p50 ms', 'p99 ms'];
  printTable(terminal, head, rows, { right: head.map((_, index) => index) });
}

function summary(outcome: SwarmOutcome, { durationMs }: ScenarioInit) {
  const { records, requests, events, gossipBytesPerS, emptyNodes } = outcome;
  return {
    ...{ requests, events, gossipBytesPerS, emptyNodes },
    failedShare: failedShare(records),
    p99Ms: worstP99Ms(records),
    replicas: meanReplicas(records, 0, durationMs),
  };
}

function integer(options: CommandOptions, name: string, fallback: number, range: Range): number {
  const text = options[name];
  return typeof text === 'string' ? parseInteger(text, `--${name}`, range) : fallback;
}

function number(options: CommandOptions, name: string, fallback: number, range: Range): number {
  const text = options[name];
  return typeof text === 'string' ? parseNumber(text, `--${name}`, range) : fallback;
}
