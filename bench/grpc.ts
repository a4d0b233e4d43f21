import type { Command } from 'commander';
import {
  type BenchHost,
  benchCommand,
  positiveInteger,
  positiveIntegers,
  positiveNumber,
} from './command.ts';
import type { GrpcClientQuestions } from './grpc/client.ts';
import { installConnect } from './grpc/connect-package.ts';
import { best, type GrpcRow, grpcTargets, LIBRARIES, type Library } from './grpc/row.ts';
import type { GrpcServerQuestions } from './grpc/server.ts';
import { type Column, describeCommit, describeMachine, printReport, rounded } from './report.ts';
import type { Questions } from './worker.ts';
import { WorkerProcess } from './worker-process.ts';

const PAYLOADS = [64, 600 * 1024];

const IN_FLIGHT = [1, 32];

/** Seconds of an unmeasured load before each measured one. */
const WARM_UP_SECONDS = 0.3;

interface GrpcOptions {
  readonly json: boolean;
  readonly seconds: number;
  readonly rounds: number;
  readonly payloads: readonly number[];
  readonly inFlight: readonly number[];
}

/** `npm run bench -- grpc`: libraries that the gateway's gRPC could be built on, as servers of the same method. */
export function grpcCommand(host: BenchHost): Command {
  return benchCommand('grpc', '@grpc/grpc-js and Connect as servers of ModelInfer')
    .option('--seconds <n>', 'seconds of one measurement', positiveNumber, 1)
    .option('--rounds <n>', 'measurements of each, interleaved', positiveInteger, 3)
    .option('--payloads <list>', 'bytes of a tensor', positiveIntegers, PAYLOADS)
    .option('--in-flight <list>', 'requests at once', positiveIntegers, IN_FLIGHT)
    .action(async (options: GrpcOptions) => {
      const machine = describeMachine();
      const rows = await runGrpc(options, host);
      const commit = await describeCommit();
      const report = { bench: 'grpc', machine, commit, rows, targets: grpcTargets(rows) };
      printReport(report, COLUMNS, options.json);
    });
}

async function runGrpc(options: GrpcOptions, host: BenchHost): Promise<GrpcRow[]> {
  const { signal, progress } = host;
  const workers: { stop(): Promise<void> }[] = [];
  const start = async <Q extends Questions>(module: string, what: string) => {
    const worker = await WorkerProcess.start<Q>(new URL(module, import.meta.url), { what });
    workers.push(worker);
    return worker;
  };
  try {
    // All are up at once and idle except in their turn, so that rounds can alternate.
    const client = await start<GrpcClientQuestions>('grpc/client.ts', 'grpc client');
    const servers: Served[] = [];
    for (const library of await availableLibraries(host)) {
      const worker = await start<GrpcServerQuestions>('grpc/server.ts', library);
      servers.push({ library, worker, address: await worker.ask('serve', library) });
    }
    const found = new Map<string, GrpcRow[]>();
    for (let round = 0; round < options.rounds; round += 1) {
      for (const traffic of trafficOf(options)) {
        for (const server of round % 2 === 0 ? servers : servers.toReversed()) {
          signal.throwIfAborted();
          const { payloadBytes, inFlight } = traffic;
          const { library } = server;
          const key = `${payloadBytes} B, ${inFlight} in flight: ${library}`;
          progress(`round ${round + 1}, ${key}`);
          const row = await measureServer(server, client, traffic);
          found.set(key, [...(found.get(key) ?? []), row]);
        }
      }
    }
    return [...found.values()].map(best);
  } finally {
    for (const worker of workers) await worker.stop();
  }
}

interface Served {
  readonly library: Library;
  readonly worker: WorkerProcess<GrpcServerQuestions>;
  readonly address: string;
}

interface Traffic {
  readonly payloadBytes: number;
  readonly inFlight: number;
  readonly seconds: number;
}

function trafficOf({ payloads, inFlight, seconds }: GrpcOptions): Traffic[] {
  return payloads.flatMap((payloadBytes) =>
    inFlight.map((count) => ({ payloadBytes, inFlight: count, seconds })),
  );
}

async function measureServer(
  { library, worker, address }: Served,
  client: WorkerProcess<GrpcClientQuestions>,
  { payloadBytes, inFlight, seconds }: Traffic,
): Promise<GrpcRow> {
  const asked = { address, payloadBytes, inFlight };
  await client.ask('load', { ...asked, seconds: WARM_UP_SECONDS });
  const before = await worker.ask('cpu', null);
  const found = await client.ask('load', { ...asked, seconds });
  const cpuUs = (await worker.ask('cpu', null)) - before;
  return {
    ...{ server: library, payloadBytes, inFlight },
    requestsPerSecond: Math.round(found.requestsPerSecond),
    p50Us: rounded(found.p50Us),
    p99Us: rounded(found.p99Us),
    serverCpuUs: rounded(cpuUs / found.requests),
  };
}

/** Connect where it can be installed; else it is told why not. */
async function availableLibraries({ signal, progress }: BenchHost): Promise<readonly Library[]> {
  try {
    await installConnect(signal);
    return LIBRARIES;
  } catch (error) {
    signal.throwIfAborted();
    progress(`without Connect: ${error instanceof Error ? error.message : String(error)}`);
    return LIBRARIES.filter((library) => library !== 'connect');
  }
}

const COLUMNS: readonly Column<GrpcRow>[] = [
  { title: 'server', value: ({ server }) => server },
  { title: 'bytes', value: ({ payloadBytes }) => String(payloadBytes) },
  { title: 'in flight', value: ({ inFlight }) => String(inFlight) },
  { title: 'requests/s', value: ({ requestsPerSecond }) => String(requestsPerSecond) },
  { title: 'p50 µs', value: ({ p50Us }) => String(p50Us) },
  { title: 'p99 µs', value: ({ p99Us }) => String(p99Us) },
  { title: 'server CPU µs', value: ({ serverCpuUs }) => String(serverCpuUs) },
];
