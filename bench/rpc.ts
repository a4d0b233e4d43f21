import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Command } from 'commander';
import {
  type BenchHost,
  benchCommand,
  positiveInteger,
  positiveIntegers,
  positiveNumber,
  someOf,
} from './command.ts';
import { type Column, describeCommit, describeMachine, printReport, rounded } from './report.ts';
import { FLOAT_BYTES, writeTinyModel } from './rpc/model.ts';
import { bestOf, type Cell, Pair, type Sample } from './rpc/pair.ts';
import { MODES, type Mode } from './rpc/service.ts';
import { type RpcRow, rpcTargets } from './rpc/targets.ts';
import { DIRECT, OURS, TRANSPORT_NAMES, type TransportName } from './rpc/transports.ts';

const PAYLOADS_BYTES = [64, 16 * 1024, 600 * 1024];

const IN_FLIGHT = [1, 32];

/** Seconds of the first, unmeasured round: enough calls for V8 to compile what is hot. */
const WARM_UP_SECONDS = 0.2;

interface RpcOptions {
  readonly json: boolean;
  readonly seconds: number;
  readonly rounds: number;
  readonly modes: readonly Mode[];
  readonly transports: readonly TransportName[];
  readonly payloads: readonly number[];
  readonly inFlight: readonly number[];
  readonly profile?: string;
}

/** `npm run bench -- rpc`: the inference protocol beside its peers, client and server in processes of their own. */
export function rpcCommand(host: BenchHost): Command {
  return benchCommand('rpc', 'the inference protocol against TLS, HTTP, HTTPS and gRPC')
    .option('--seconds <n>', 'seconds of one measurement', positiveNumber, 0.4)
    .option(
      '--rounds <n>',
      'measurements of each, interleaved; the best counts',
      positiveInteger,
      3,
    )
    .option('--modes <list>', `of ${MODES.join(', ')}`, someOf(MODES), [...MODES])
    .option('--transports <list>', `of ${TRANSPORT_NAMES.join(', ')}`, someOf(TRANSPORT_NAMES), [
      ...TRANSPORT_NAMES,
    ])
    .option('--payloads <list>', 'bytes of a request', positiveIntegers, PAYLOADS_BYTES)
    .option('--in-flight <list>', 'requests at once', positiveIntegers, IN_FLIGHT)
    .option('--profile <dir>', 'write a CPU profile of every process there')
    .action(async (options: RpcOptions) => {
      const machine = describeMachine();
      const rows = await runRpc(options, host);
      printReport(
        { bench: 'rpc', machine, commit: await describeCommit(), rows, targets: rpcTargets(rows) },
        COLUMNS,
        options.json,
      );
    });
}

async function runRpc(options: RpcOptions, host: BenchHost): Promise<RpcRow[]> {
  for (const bytes of options.payloads) {
    if (bytes % FLOAT_BYTES !== 0) {
      throw new RangeError(`payload has ${bytes} bytes, expected a multiple of ${FLOAT_BYTES}`);
    }
  }
  const directory = await mkdtemp(path.join(os.tmpdir(), 'gpu-swarm-bench-'));
  try {
    const modelFile = path.join(directory, await writeTinyModel(directory));
    const rows: RpcRow[] = [];
    for (const mode of options.modes) rows.push(...(await runMode(mode, modelFile, options, host)));
    return rows;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function runMode(
  mode: Mode,
  modelFile: string,
  options: RpcOptions,
  host: BenchHost,
): Promise<RpcRow[]> {
  const cells = options.payloads.flatMap((payloadBytes) =>
    options.inFlight.map((inFlight) => ({ payloadBytes, inFlight })),
  );
  const pairs: Pair[] = [];
  try {
    for (const transport of options.transports) {
      if (transport === DIRECT && mode === 'echo') continue;
      host.signal.throwIfAborted();
      host.progress(`${mode}: starting ${transport}`);
      const model = mode === 'executor' ? modelFile : undefined;
      const { profile: profileDir } = options;
      pairs.push(await Pair.start({ transport, mode, modelFile: model, profileDir }));
    }
    for (const pair of pairs) {
      for (const payloadBytes of options.payloads) await pair.check(payloadBytes);
    }
    const best = await runRounds(mode, pairs, cells, options, host);
    return cells.flatMap((cell) => toRows(mode, cell, best.get(cell)));
  } finally {
    for (const pair of pairs) await pair.stop();
  }
}

type BestByTransport = Map<TransportName, Sample>;

/** Every pair in turn on each cell, round after round, so that what slows the machine meets them all. */
async function runRounds(
  mode: Mode,
  pairs: readonly Pair[],
  cells: readonly Cell[],
  { rounds, seconds }: RpcOptions,
  host: BenchHost,
): Promise<ReadonlyMap<Cell, BestByTransport>> {
  const best = new Map(cells.map((cell) => [cell, new Map() as BestByTransport]));
  for (let round = 0; round <= rounds; round += 1) {
    host.progress(round === 0 ? `${mode}: warming up` : `${mode}: round ${round} of ${rounds}`);
    for (const [cell, byTransport] of best) {
      for (let turn = 0; turn < pairs.length; turn += 1) {
        host.signal.throwIfAborted();
        // Each round begins with another one: whoever follows a heavy one would always pay for its garbage.
        const pair = pairs[(turn + round) % pairs.length] as Pair;
        const sample = await pair.measure(cell, round === 0 ? WARM_UP_SECONDS : seconds);
        if (round === 0) continue;
        byTransport.set(pair.transport, bestOf(byTransport.get(pair.transport), sample));
      }
    }
  }
  return best;
}

function toRows(mode: Mode, cell: Cell, found: BestByTransport | undefined): RpcRow[] {
  const ours = found?.get(OURS);
  return TRANSPORT_NAMES.flatMap((transport) => {
    const sample = found?.get(transport);
    if (sample === undefined) return [];
    return {
      mode,
      ...cell,
      transport,
      p50Us: rounded(sample.p50Us),
      p99Us: rounded(sample.p99Us),
      requestsPerSecond: Math.round(sample.requestsPerSecond),
      clientCpuUs: rounded(sample.clientCpuUs),
      serverCpuUs: rounded(sample.serverCpuUs),
      p50PerOurs: ours === undefined ? null : rounded(sample.p50Us / ours.p50Us),
      requestsPerOurs:
        ours === undefined ? null : rounded(sample.requestsPerSecond / ours.requestsPerSecond),
    };
  });
}

const COLUMNS: readonly Column<RpcRow>[] = [
  { title: 'mode', value: ({ mode }) => mode },
  { title: 'bytes', value: ({ payloadBytes }) => String(payloadBytes) },
  { title: 'in flight', value: ({ inFlight }) => String(inFlight) },
  { title: 'transport', value: ({ transport }) => transport },
  { title: 'p50 µs', value: ({ p50Us }) => String(p50Us) },
  { title: 'p99 µs', value: ({ p99Us }) => String(p99Us) },
  { title: 'requests/s', value: ({ requestsPerSecond }) => String(requestsPerSecond) },
  { title: 'client CPU µs', value: ({ clientCpuUs }) => String(clientCpuUs) },
  { title: 'server CPU µs', value: ({ serverCpuUs }) => String(serverCpuUs) },
  { title: 'p50 / ours', value: ({ p50PerOurs }) => String(p50PerOurs ?? '') },
  { title: 'requests/s / ours', value: ({ requestsPerOurs }) => String(requestsPerOurs ?? '') },
];
