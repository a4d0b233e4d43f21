import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Command } from 'commander';
import { type BenchHost, benchCommand, positiveNumber } from './command.ts';
import { deviceModels } from './device/models.ts';
import type { BenchModel } from './graph-writer.ts';
import type { ClientQuestions } from './execution/client.ts';
import type { OfflineBatch, OfflineQuestions } from './execution/offline.ts';
import { CAN_PIN } from './execution/pin.ts';
import type { ServerQuestions } from './execution/server.ts';
import {
  atLeast,
  atMost,
  type Column,
  describeCommit,
  describeMachine,
  printReport,
  rounded,
  type Target,
} from './report.ts';
import type { Questions } from './worker.ts';
import { ASK_TIMEOUT_MS, WorkerProcess } from './worker-process.ts';

/** Batches that the runtime alone is tried with; the best counts. */
const OFFLINE_BATCHES = [1, 4, 16, 64];

/** Callers of the closed loop: enough to fill the largest batch twice. */
const CALLERS = 128;

/** Times the capacity that an open loop asks for, as in use, near the edge, and far beyond. */
const USUAL_LOAD = 0.6;
const HIGH_LOAD = 0.9;
const OVERLOAD = 2.5;

/** What must have been sent of it for its goodput to say anything of the node: with less, the callers are what is overloaded. */
const MIN_OVERLOAD = 2;

/** Seconds that echoes go on longer than the runtime is measured beside them. */
const BESIDE_MARGIN_SECONDS = 0.3;

/** Milliseconds that a request of an open loop has. */
const DEADLINE_MS = 1_000;

/** Milliseconds of one item under which a model is the transport's business more than the runtime's. */
const HEAVY_MS = 1;

interface ExecutionRow {
  readonly model: string;
  /** Items a second of ONNX Runtime alone, and the batch that gave them. */
  readonly offlinePerSecond: number;
  readonly offlineBatch: number;
  /** Of the same, while the other cores are as busy as a node has them, with echoes: caches and memory are shared. */
  readonly besidePerSecond: number;
  /** Items a second with each input sent back instead of run. */
  readonly echoPerSecond: number;
  readonly maxRows: number;
  /** Items a second through the node, closed loop. */
  readonly nodePerSecond: number;
  readonly nodePerOffline: number;
  readonly nodePerBeside: number;
  readonly p99MsUsual: number;
  readonly p99MsHigh: number;
  /** Requests a second at the overload, over the capacity: less than asked for where the callers' process is the slower. */
  readonly overload: number;
  /** Answers at the overload, within the time of sending, over those of closed loops of that time, each just before one. */
  readonly goodput: number;
  /** From a header at its stream to its refusal handed back, inside the node, and from request to refusal at the callers. */
  readonly refusalP99Ms: number;
  readonly refusalAtCallerP99Ms: number;
  readonly lost: number;
  /** Milliseconds that the node's event loop was late at p99 of the closed loop. */
  readonly loopDelayMs: number;
  /** The same at the overload. */
  readonly loopDelayMsOverload: number;
  readonly residentMib: number | null;
  readonly fileMib: number;
}

interface ExecutionOptions {
  readonly seconds: number;
  readonly rounds: number;
  readonly json: boolean;
}

/** `npm run bench -- execution`: the whole path of a request on one node, beside ONNX Runtime alone. */
export function executionCommand(host: BenchHost): Command {
  return benchCommand('execution', 'a node under load beside ONNX Runtime alone, on one core each')
    .option('--seconds <n>', 'of each measurement', positiveNumber, 3)
    .option(
      '--rounds <n>',
      'of runtime, echo and node in turn, of which the best of each counts, and of overloads',
      positiveNumber,
      3,
    )
    .action(async ({ seconds, rounds, json }: ExecutionOptions) => {
      const machine = `${describeMachine()}, ${CAN_PIN ? 'pinned' : 'not pinned'}`;
      const rows: ExecutionRow[] = [];
      for (const model of deviceModels()) {
        host.progress(model.name);
        rows.push(await measureModel(model, { seconds, rounds, signal: host.signal }));
      }
      const targets = rows.flatMap(toTargets);
      const commit = await describeCommit();
      printReport({ bench: 'execution', machine, commit, rows, targets }, COLUMNS, json);
    });
}

interface MeasureOptions {
  readonly seconds: number;
  readonly rounds: number;
  readonly signal: AbortSignal;
}

async function measureModel(model: BenchModel, options: MeasureOptions): Promise<ExecutionRow> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'gpu-swarm-bench-'));
  const file = path.join(folder, 'model.onnx');
  const start = async <Q extends Questions>(end: string) =>
    WorkerProcess.start<Q>(new URL(`execution/${end}.ts`, import.meta.url), {
      what: `${model.name} ${end}`,
    });
  await using ends = new AsyncDisposableStack();
  ends.defer(async () => rm(folder, { recursive: true, force: true }));
  await writeFile(file, model.bytes);
  const stop = async (process: { stop(): Promise<void> }) => process.stop();
  const runtime = ends.adopt(await start<OfflineQuestions>('offline'), stop);
  const server = ends.adopt(await start<ServerQuestions>('server'), stop);
  const client = ends.adopt(await start<ClientQuestions>('client'), stop);
  await runtime.ask('open', { file });
  const { inputs, outputs, itemShape } = model;
  const address = await server.ask('serve', { file, inputs, outputs });
  await client.ask('connect', { address, itemShape });
  const sides = { runtime, server, client };
  const best = await measureThroughput(sides, itemShape, options);
  options.signal.throwIfAborted();
  const open = await measureLoads(sides, best.nodePerSecond, options);
  const { maxRows } = await server.ask('finding', null);
  const residentBytes = await server.ask('memory', null);
  const mib = (count: number): number => rounded(count / 1024 ** 2);
  return {
    model: model.name,
    maxRows,
    ...best,
    ...open,
    residentMib: residentBytes === null ? null : mib(residentBytes),
    fileMib: mib(model.bytes.byteLength),
  };
}

/** The processes of one model's measurement. */
interface Sides {
  readonly runtime: WorkerProcess<OfflineQuestions>;
  readonly server: WorkerProcess<ServerQuestions>;
  readonly client: WorkerProcess<ClientQuestions>;
}

type Throughput = Pick<
  ExecutionRow,
  | 'offlinePerSecond'
  | 'offlineBatch'
  | 'besidePerSecond'
  | 'echoPerSecond'
  | 'nodePerSecond'
  | 'nodePerOffline'
  | 'nodePerBeside'
  | 'loopDelayMs'
>;

/** In turn, so that what else the machine does falls on all of them; the best of each is what it can. */
async function measureThroughput(
  { runtime, server, client }: Sides,
  itemShape: readonly number[],
  { seconds, rounds, signal }: MeasureOptions,
): Promise<Throughput> {
  let offline: OfflineBatch = { batch: 0, itemsPerSecond: 0 };
  let [besidePerSecond, echoPerSecond, nodePerSecond, loopDelayMs] = [0, 0, 0, 0];
  const closed = async (forSeconds: number) =>
    client.ask(
      'closed',
      { callers: CALLERS, seconds: forSeconds },
      ASK_TIMEOUT_MS + forSeconds * 1000,
    );
  // Compiled and measured by the node itself before it counts.
  await closed(1);
  for (let round = 0; round < rounds; round += 1) {
    signal.throwIfAborted();
    for (const batch of OFFLINE_BATCHES) {
      const found = await runtime.ask('measure', { itemShape, batch, seconds });
      if (found.itemsPerSecond > offline.itemsPerSecond) offline = found;
    }
    await server.ask('echo', true);
    echoPerSecond = Math.max(echoPerSecond, await closed(seconds));
    const busy = closed(seconds + BESIDE_MARGIN_SECONDS);
    const beside = await runtime.ask('measure', { itemShape, batch: offline.batch, seconds });
    besidePerSecond = Math.max(besidePerSecond, beside.itemsPerSecond);
    await busy;
    await server.ask('echo', false);
    await server.ask('loopDelay', null);
    const perSecond = await closed(seconds);
    const delayMs = await server.ask('loopDelay', null);
    if (perSecond > nodePerSecond) [nodePerSecond, loopDelayMs] = [perSecond, delayMs];
  }
  return {
    offlinePerSecond: rounded(offline.itemsPerSecond),
    offlineBatch: offline.batch,
    echoPerSecond: rounded(echoPerSecond),
    nodePerSecond: rounded(nodePerSecond),
    nodePerOffline: rounded(nodePerSecond / offline.itemsPerSecond),
    besidePerSecond: rounded(besidePerSecond),
    nodePerBeside: rounded(nodePerSecond / besidePerSecond),
    loopDelayMs: rounded(loopDelayMs),
  };
}

type Loads = Pick<
  ExecutionRow,
  | 'p99MsUsual'
  | 'p99MsHigh'
  | 'overload'
  | 'goodput'
  | 'refusalP99Ms'
  | 'refusalAtCallerP99Ms'
  | 'lost'
  | 'loopDelayMsOverload'
>;

/** Open loops, by the capacity that the closed loop found. */
async function measureLoads(
  { server, client }: Sides,
  capacity: number,
  { seconds, rounds, signal }: MeasureOptions,
): Promise<Loads> {
  const timeoutMs = ASK_TIMEOUT_MS + seconds * 1000;
  const open = async (requestsPerSecond: number) =>
    client.ask('open', { requestsPerSecond, seconds, deadlineMs: DEADLINE_MS }, timeoutMs);
  const usual = await open(USUAL_LOAD * capacity);
  const high = await open(HIGH_LOAD * capacity);
  let lost = usual.lost + high.lost;
  const over = { capacity: 0, sent: 0, answered: 0 };
  const [refusalMs, atCallerMs, loopDelayMs]: [number[], number[], number[]] = [[], [], []];
  for (let round = 0; round < rounds; round += 1) {
    signal.throwIfAborted();
    // What the machine gives changes within seconds: each overload is beside the capacity just before it.
    const now = await client.ask('closed', { callers: CALLERS, seconds }, timeoutMs);
    await server.ask('loopDelay', null);
    await server.ask('refusals', null);
    const found = await open(OVERLOAD * now);
    over.capacity += now;
    over.sent += found.sentPerSecond;
    over.answered += found.answeredPerSecond;
    lost += found.lost;
    refusalMs.push(await server.ask('refusals', null));
    atCallerMs.push(found.refusalP99Ms);
    loopDelayMs.push(await server.ask('loopDelay', null));
  }
  return {
    p99MsUsual: rounded(usual.p99Ms),
    p99MsHigh: rounded(high.p99Ms),
    overload: rounded(over.sent / over.capacity),
    goodput: rounded(over.answered / over.capacity),
    refusalP99Ms: rounded(Math.max(...refusalMs)),
    refusalAtCallerP99Ms: rounded(Math.max(...atCallerMs)),
    lost,
    loopDelayMsOverload: rounded(Math.max(...loopDelayMs)),
  };
}

function toTargets(row: ExecutionRow): Target[] {
  const { model, nodePerSecond, offlinePerSecond, echoPerSecond } = row;
  const heavy = 1000 / offlinePerSecond > HEAVY_MS;
  const throughput = heavy
    ? atLeast(`${model}: items/s over the runtime's`, nodePerSecond / offlinePerSecond, 0.9)
    : atLeast(
        `${model}: items/s over the less of runtime and echo`,
        nodePerSecond / Math.min(offlinePerSecond, echoPerSecond),
        0.6,
      );
  const goodput = atLeast(`${model}: goodput at ${OVERLOAD} × overload`, row.goodput, 0.9);
  return [
    throughput,
    ...(row.overload < MIN_OVERLOAD ? [] : [goodput]),
    atMost(`${model}: refusal at p99, in units of 10 ms`, row.refusalP99Ms / 10, 1),
  ];
}

const COLUMNS: readonly Column<ExecutionRow>[] = [
  { title: 'model', value: ({ model }) => model },
  { title: 'runtime items/s', value: ({ offlinePerSecond }) => String(offlinePerSecond) },
  { title: 'at batch', value: ({ offlineBatch }) => String(offlineBatch) },
  { title: 'beside echoes', value: ({ besidePerSecond }) => String(besidePerSecond) },
  { title: 'echo items/s', value: ({ echoPerSecond }) => String(echoPerSecond) },
  { title: 'max rows', value: ({ maxRows }) => String(maxRows) },
  { title: 'node items/s', value: ({ nodePerSecond }) => String(nodePerSecond) },
  { title: 'node / runtime', value: ({ nodePerOffline }) => String(nodePerOffline) },
  { title: 'node / beside', value: ({ nodePerBeside }) => String(nodePerBeside) },
  { title: 'p99 ms at 0.6', value: ({ p99MsUsual }) => String(p99MsUsual) },
  { title: 'at 0.9', value: ({ p99MsHigh }) => String(p99MsHigh) },
  { title: 'overload', value: ({ overload }) => String(overload) },
  { title: 'goodput at it', value: ({ goodput }) => String(goodput) },
  { title: 'refusal p99 ms', value: ({ refusalP99Ms }) => String(refusalP99Ms) },
  { title: 'at callers', value: ({ refusalAtCallerP99Ms }) => String(refusalAtCallerP99Ms) },
  { title: 'lost', value: ({ lost }) => String(lost) },
  { title: 'loop late ms', value: ({ loopDelayMs }) => String(loopDelayMs) },
  { title: 'at overload', value: ({ loopDelayMsOverload }) => String(loopDelayMsOverload) },
  { title: 'resident MiB', value: ({ residentMib }) => String(residentMib ?? 'unknown') },
  { title: 'file MiB', value: ({ fileMib }) => String(fileMib) },
];
