import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Command } from 'commander';
import { benchCommand, type BenchHost, positiveNumber } from './command.ts';
import { type DeviceModel, deviceModels } from './device/models.ts';
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
import { ASK_TIMEOUT_MS, WorkerProcess } from './worker-process.ts';

/** Batches that the runtime alone is tried with; the best counts. */
const OFFLINE_BATCHES = [1, 4, 16, 64];

/** Callers of the closed loop: enough to fill the largest batch twice. */
const CALLERS = 128;

/** Times the capacity that an open loop asks for, as in use, near the edge, and far beyond. */
const USUAL_LOAD = 0.6;
const HIGH_LOAD = 0.9;
const OVERLOAD = 2.5;

/** Milliseconds that a request of an open loop has. */
const DEADLINE_MS = 1_000;

/** Milliseconds of one item under which a model is the transport's business more than the runtime's. */
const HEAVY_MS = 1;

interface ExecutionRow {
  readonly model: string;
  /** Items a second of ONNX Runtime alone, and the batch that gave them. */
  readonly offlinePerSecond: number;
  readonly offlineBatch: number;
  /** Items a second with each input sent back instead of run. */
  readonly echoPerSecond: number;
  readonly maxRows: number;
  /** Items a second through the node, closed loop. */
  readonly nodePerSecond: number;
  readonly nodePerOffline: number;
  readonly p99MsUsual: number;
  readonly p99MsHigh: number;
  /** Requests a second at the overload, over the capacity: less than asked for where the callers' process is the slower. */
  readonly overload: number;
  /** Answers a second at the overload, within the time of sending, over those of the closed loop. */
  readonly goodput: number;
  readonly refusalP99Ms: number;
  readonly lost: number;
  /** Milliseconds that the node's event loop was late at p99 of the closed loop. */
  readonly loopDelayMs: number;
  readonly residentMib: number | null;
  readonly fileMib: number;
}

interface ExecutionOptions {
  readonly seconds: number;
  readonly json: boolean;
}

/** `npm run bench -- execution`: the whole path of a request on one node, beside ONNX Runtime alone. */
export function executionCommand(host: BenchHost): Command {
  return benchCommand('execution', 'a node under load beside ONNX Runtime alone, on one core each')
    .option('--seconds <n>', 'of each measurement', positiveNumber, 3)
    .action(async ({ seconds, json }: ExecutionOptions) => {
      const machine = `${describeMachine()}, ${CAN_PIN ? 'pinned' : 'not pinned'}`;
      const rows: ExecutionRow[] = [];
      for (const model of deviceModels()) {
        host.progress(model.name);
        rows.push(await measureModel(model, seconds, host.signal));
      }
      const targets = rows.flatMap(toTargets);
      const commit = await describeCommit();
      printReport({ bench: 'execution', machine, commit, rows, targets }, COLUMNS, json);
    });
}

async function measureModel(
  model: DeviceModel,
  seconds: number,
  signal: AbortSignal,
): Promise<ExecutionRow> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'gpu-swarm-bench-'));
  try {
    const file = path.join(folder, 'model.onnx');
    await writeFile(file, model.bytes);
    const offline = await measureOffline(file, model, seconds);
    signal.throwIfAborted();
    return await measureNode(file, model, { seconds, offline });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measureOffline(
  file: string,
  { name, itemShape }: DeviceModel,
  seconds: number,
): Promise<OfflineBatch> {
  const module = new URL('execution/offline.ts', import.meta.url);
  const runtime = await WorkerProcess.start<OfflineQuestions>(module, { what: `${name} offline` });
  try {
    await runtime.ask('open', { file });
    let best: OfflineBatch = { batch: 0, itemsPerSecond: 0 };
    for (const batch of OFFLINE_BATCHES) {
      const found = await runtime.ask('measure', { itemShape, batch, seconds });
      if (found.itemsPerSecond > best.itemsPerSecond) best = found;
    }
    return best;
  } finally {
    await runtime.stop();
  }
}

async function measureNode(
  file: string,
  { name, itemShape, inputs, outputs, bytes }: DeviceModel,
  { seconds, offline }: { readonly seconds: number; readonly offline: OfflineBatch },
): Promise<ExecutionRow> {
  const moduleOf = (end: string) => new URL(`execution/${end}.ts`, import.meta.url);
  await using ends = new AsyncDisposableStack();
  const server = ends.adopt(
    await WorkerProcess.start<ServerQuestions>(moduleOf('server'), { what: `${name} node` }),
    async (process) => process.stop(),
  );
  const client = ends.adopt(
    await WorkerProcess.start<ClientQuestions>(moduleOf('client'), { what: `${name} callers` }),
    async (process) => process.stop(),
  );
  const address = await server.ask('serve', { file, inputs, outputs });
  await client.ask('connect', { address, itemShape });
  const { maxRows } = await server.ask('finding', null);
  const loop = { callers: CALLERS, seconds };
  const timeoutMs = ASK_TIMEOUT_MS + seconds * 1000;
  await server.ask('echo', true);
  const echoPerSecond = await client.ask('closed', loop, timeoutMs);
  await server.ask('echo', false);
  // Compiled and measured by the node itself before it counts.
  await client.ask('closed', { ...loop, seconds: 1 }, timeoutMs);
  await server.ask('loopDelay', null);
  const nodePerSecond = await client.ask('closed', loop, timeoutMs);
  const loopDelayMs = await server.ask('loopDelay', null);
  const open = async (load: number) =>
    client.ask(
      'open',
      { requestsPerSecond: load * nodePerSecond, seconds, deadlineMs: DEADLINE_MS },
      timeoutMs,
    );
  const usual = await open(USUAL_LOAD);
  const high = await open(HIGH_LOAD);
  const over = await open(OVERLOAD);
  const residentBytes = await server.ask('memory', null);
  const mib = (count: number): number => rounded(count / 1024 ** 2);
  return {
    model: name,
    offlinePerSecond: rounded(offline.itemsPerSecond),
    offlineBatch: offline.batch,
    echoPerSecond: rounded(echoPerSecond),
    maxRows,
    nodePerSecond: rounded(nodePerSecond),
    nodePerOffline: rounded(nodePerSecond / offline.itemsPerSecond),
    p99MsUsual: rounded(usual.p99Ms),
    p99MsHigh: rounded(high.p99Ms),
    overload: rounded(over.sentPerSecond / nodePerSecond),
    goodput: rounded(over.answeredPerSecond / nodePerSecond),
    refusalP99Ms: rounded(over.refusalP99Ms),
    lost: usual.lost + high.lost + over.lost,
    loopDelayMs: rounded(loopDelayMs),
    residentMib: residentBytes === null ? null : mib(residentBytes),
    fileMib: mib(bytes.byteLength),
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
  return [
    throughput,
    atLeast(`${model}: goodput at ${OVERLOAD} × overload`, row.goodput, 0.9),
    atMost(`${model}: refusal at p99, in units of 10 ms`, row.refusalP99Ms / 10, 1),
  ];
}

const COLUMNS: readonly Column<ExecutionRow>[] = [
  { title: 'model', value: ({ model }) => model },
  { title: 'runtime items/s', value: ({ offlinePerSecond }) => String(offlinePerSecond) },
  { title: 'at batch', value: ({ offlineBatch }) => String(offlineBatch) },
  { title: 'echo items/s', value: ({ echoPerSecond }) => String(echoPerSecond) },
  { title: 'max rows', value: ({ maxRows }) => String(maxRows) },
  { title: 'node items/s', value: ({ nodePerSecond }) => String(nodePerSecond) },
  { title: 'node / runtime', value: ({ nodePerOffline }) => String(nodePerOffline) },
  { title: 'p99 ms at 0.6', value: ({ p99MsUsual }) => String(p99MsUsual) },
  { title: 'at 0.9', value: ({ p99MsHigh }) => String(p99MsHigh) },
  { title: 'overload', value: ({ overload }) => String(overload) },
  { title: 'goodput at it', value: ({ goodput }) => String(goodput) },
  { title: 'refusal p99 ms', value: ({ refusalP99Ms }) => String(refusalP99Ms) },
  { title: 'lost', value: ({ lost }) => String(lost) },
  { title: 'loop late ms', value: ({ loopDelayMs }) => String(loopDelayMs) },
  { title: 'resident MiB', value: ({ residentMib }) => String(residentMib ?? 'unknown') },
  { title: 'file MiB', value: ({ fileMib }) => String(fileMib) },
];
