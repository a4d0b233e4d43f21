import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Command } from 'commander';
import {
  type BenchHost,
  benchCommand,
  positiveIntegers,
  positiveNumber,
  someOf,
} from './command.ts';
import type { LoadQuestions } from './gateway/client.ts';
import { MODEL_NAMES, type ModelName, modelBytes } from './gateway/models.ts';
import { loadNatively, nativeCallersThere } from './gateway/native-callers.ts';
import { installPythonServers } from './gateway/peer-servers.ts';
import { FORMS, type Form } from './gateway/request.ts';
import {
  type ModelFiles,
  type ModelServer,
  SERVERS,
  type ServerName,
  startServer,
} from './gateway/servers.ts';
import { type GatewayRow, gatewayTargets } from './gateway/targets.ts';
import { type Column, describeCommit, describeMachine, printReport, rounded } from './report.ts';
import { ASK_TIMEOUT_MS, WorkerProcess } from './worker-process.ts';

const CALLERS = [1, 8, 64];

/** Seconds of an unmeasured load before each measured one. */
const SETTLE_SECONDS = 0.3;

/** The same for each form and model, by most callers: a server runs for days, and V8 compiles what has run some ten thousand times. */
const WARM_UP_SECONDS = 10;

const MIB = 1024 * 1024;

interface GatewayOptions {
  readonly json: boolean;
  readonly seconds: number;
  readonly models: readonly ModelName[];
  readonly servers: readonly ServerName[];
  readonly forms: readonly Form[];
  readonly callers: readonly number[];
  readonly warmUp: number;
}

/** `npm run bench -- gateway`: the gateway beside servers of the same models on the same cores. */
export function gatewayCommand(host: BenchHost): Command {
  return benchCommand(
    'gateway',
    'the gateway against plain fastify, MLServer, LitServe and BentoML',
  )
    .option('--seconds <n>', 'seconds of one measurement', positiveNumber, 1)
    .option('--models <list>', `of ${MODEL_NAMES.join(', ')}`, someOf(MODEL_NAMES), [
      ...MODEL_NAMES,
    ])
    .option('--servers <list>', `of ${SERVERS.join(', ')}`, someOf(SERVERS), [...SERVERS])
    .option('--forms <list>', `of ${FORMS.join(', ')}`, someOf(FORMS), [...FORMS])
    .option('--callers <list>', 'requests at once', positiveIntegers, CALLERS)
    .option(
      '--warm-up <n>',
      'seconds before the first measurement of each form and model',
      positiveNumber,
      WARM_UP_SECONDS,
    )
    .action(async (options: GatewayOptions) => {
      const machine = describeMachine();
      const rows = await runGateway(options, host);
      const commit = await describeCommit();
      const report = { bench: 'gateway', machine, commit, rows, targets: gatewayTargets(rows) };
      printReport(report, COLUMNS, options.json);
    });
}

async function runGateway(options: GatewayOptions, host: BenchHost): Promise<GatewayRow[]> {
  const servers = await availableServers(options.servers, host);
  const native = await nativeCallersThere();
  if (!native) host.progress('without h2load (nghttp2-client): callers are in Node, and take more');
  const folder = await mkdtemp(path.join(os.tmpdir(), 'gpu-swarm-bench-'));
  try {
    const files = { tiny: path.join(folder, 'tiny.onnx'), heavy: path.join(folder, 'heavy.onnx') };
    for (const model of MODEL_NAMES) await writeFile(files[model], modelBytes(model));
    const rows: GatewayRow[] = [];
    // One after the other: what a server keeps busy while it idles would be taken from the next.
    for (const name of servers)
      rows.push(...(await runServer(name, { folder, files, options, host, native })));
    return rows;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Those in Python where they can be had; else it is told why not. */
async function availableServers(
  servers: readonly ServerName[],
  { signal, progress }: BenchHost,
): Promise<readonly ServerName[]> {
  let left = servers;
  for (const [set, names] of PYTHON_SETS) {
    if (!names.some((name) => servers.includes(name))) continue;
    try {
      await installPythonServers(set, signal);
    } catch (error) {
      signal.throwIfAborted();
      const reason = error instanceof Error ? error.message : String(error);
      progress(`without ${names.join(' and ')}: ${reason}`);
      left = left.filter((name) => !names.includes(name));
    }
  }
  return left;
}

/** Servers in Python by what is installed together. */
const PYTHON_SETS: readonly (readonly ['others' | 'bentoml', readonly ServerName[]])[] = [
  ['others', ['mlserver', 'litserve']],
  ['bentoml', ['bentoml']],
];

interface RunInit {
  readonly folder: string;
  readonly files: ModelFiles;
  readonly options: GatewayOptions;
  readonly host: BenchHost;
  /** Whether callers are in native code. */
  readonly native: boolean;
}

async function runServer(
  name: ServerName,
  { folder, files, options, host, native }: RunInit,
): Promise<GatewayRow[]> {
  host.signal.throwIfAborted();
  host.progress(`starting ${name}`);
  await using server = await startServer(name, { folder, files });
  const idleMib = await server.idleBytes().then((bytes) => bytes && bytes / MIB);
  const module = new URL('gateway/client.ts', import.meta.url);
  const client = await WorkerProcess.start<LoadQuestions>(module, { what: 'callers' });
  try {
    const rows: GatewayRow[] = [];
    for (const form of server.forms.filter((one) => options.forms.includes(one))) {
      for (const model of options.models) {
        const { warmUp, seconds } = options;
        const asked = { ...server.addressOf(form, model), form };
        const answerBytes = await client.ask('once', asked);
        const load = async (callers: number, forSeconds: number): Promise<Found> => {
          const ask = { ...asked, callers, seconds: forSeconds };
          if (native) return loadNatively({ ...ask, answerBytes }, folder);
          return client.ask('load', ask, 1000 * forSeconds + ASK_TIMEOUT_MS);
        };
        host.progress(`${name}, ${form}: ${model}, warming up for ${warmUp} s`);
        await load(Math.max(...options.callers), warmUp);
        for (const callers of options.callers) {
          host.signal.throwIfAborted();
          host.progress(`${name}, ${form}: ${model}, ${callers} callers`);
          await load(callers, SETTLE_SECONDS);
          const found = await load(callers, seconds);
          rows.push({
            ...describeServer(server, idleMib),
            form,
            model,
            callers,
            ...figures(found),
          });
        }
      }
    }
    return rows;
  } finally {
    await client.stop();
  }
}

function describeServer({ name, startMs }: ModelServer, idleMib: number | null) {
  return {
    server: name,
    startMs: Math.round(startMs),
    idleMib: idleMib === null ? null : Math.round(idleMib),
  };
}

/** What a load came to. */
type Found = Pick<LoadQuestions['load']['answer'], 'requestsPerSecond' | 'p50Us' | 'p99Us'>;

function figures(found: Found) {
  return {
    requestsPerSecond: Math.round(found.requestsPerSecond),
    p50Ms: rounded(found.p50Us / 1000),
    p99Ms: rounded(found.p99Us / 1000),
  };
}

const COLUMNS: readonly Column<GatewayRow>[] = [
  { title: 'server', value: ({ server }) => server },
  { title: 'form', value: ({ form }) => form },
  { title: 'model', value: ({ model }) => model },
  { title: 'callers', value: ({ callers }) => String(callers) },
  { title: 'requests/s', value: ({ requestsPerSecond }) => String(requestsPerSecond) },
  { title: 'p50 ms', value: ({ p50Ms }) => String(p50Ms) },
  { title: 'p99 ms', value: ({ p99Ms }) => String(p99Ms) },
  { title: 'idle MiB', value: ({ idleMib }) => String(idleMib ?? '') },
  { title: 'start ms', value: ({ startMs }) => String(startMs) },
];
