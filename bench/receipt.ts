import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Command } from 'commander';
import {
  type BenchHost,
  benchCommand,
  positiveInteger,
  positiveIntegers,
  positiveNumber,
} from './command.ts';
import type { Alone } from './receipt/alone.ts';
import type { ClientQuestions } from './receipt/client.ts';
import type { NodeQuestions } from './receipt/node.ts';
import { type Column, describeCommit, describeMachine, printReport, rounded } from './report.ts';
import { writeTinyModel } from './rpc/model.ts';
import { bestOf, type Cell, type Sample } from './rpc/pair.ts';
import { ASK_TIMEOUT_MS, WorkerProcess } from './worker-process.ts';

const PAYLOADS_BYTES = [64, 16 * 1024, 600 * 1024];

const IN_FLIGHT = [1, 32];

/** Seconds of the first, unmeasured round. */
const WARM_UP_SECONDS = 0.5;

interface ReceiptOptions {
  readonly json: boolean;
  readonly seconds: number;
  readonly rounds: number;
  readonly payloads: readonly number[];
  readonly inFlight: readonly number[];
}

interface ReceiptRow extends Cell {
  readonly p50OffUs: number;
  readonly p50OnUs: number;
  readonly p50Ratio: number;
  readonly requestsOff: number;
  readonly requestsOn: number;
  readonly requestsRatio: number;
  /** CPU microseconds of each request. */
  readonly nodeCpuOffUs: number;
  readonly nodeCpuOnUs: number;
  readonly nodeCpuRatio: number;
  readonly clientCpuOffUs: number;
  readonly clientCpuOnUs: number;
  readonly clientCpuRatio: number;
  /** Alone, one after the other: all that a node does for a receipt, a client with one, and a digest of the inputs. */
  readonly signUs: number;
  readonly checkUs: number;
  readonly digestUs: number;
}

/** With receipts and without. */
type Found = Map<boolean, Sample>;

/** `npm run bench -- receipt`: what a receipt costs the node that signs it and the client that checks it. */
export function receiptCommand(host: BenchHost): Command {
  return benchCommand('receipt', 'requests with a receipt and without, to a whole node')
    .option('--seconds <n>', 'seconds of one measurement', positiveNumber, 1)
    .option('--rounds <n>', 'measurements of each, in turn; the best counts', positiveInteger, 3)
    .option('--payloads <list>', 'bytes of a request', positiveIntegers, PAYLOADS_BYTES)
    .option('--in-flight <list>', 'requests at once', positiveIntegers, IN_FLIGHT)
    .action(async (options: ReceiptOptions) => {
      const machine = describeMachine();
      const rows = await runReceipts(options, host);
      const commit = await describeCommit();
      printReport({ bench: 'receipt', machine, commit, rows, targets: [] }, COLUMNS, options.json);
    });
}

async function runReceipts(options: ReceiptOptions, host: BenchHost): Promise<ReceiptRow[]> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'gpu-swarm-bench-'));
  let ends: Ends | undefined;
  try {
    host.progress('starting a node and a client');
    ends = await Ends.start(directory);
    const alone = new Map<number, Alone>();
    for (const payloadBytes of options.payloads) {
      await ends.client.ask('check', { payloadBytes });
      host.progress(`signing and checking alone, ${payloadBytes} bytes`);
      alone.set(payloadBytes, await ends.client.ask('alone', { payloadBytes, seconds: 3 }));
    }
    const best = await runRounds(ends, options, host);
    return [...best].flatMap(([cell, found]) => toRow(cell, found, alone.get(cell.payloadBytes)));
  } finally {
    await ends?.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

/** With and without in turn on each kind of traffic, round after round, and the other one first each time. */
async function runRounds(
  ends: Ends,
  { payloads, inFlight, rounds, seconds }: ReceiptOptions,
  host: BenchHost,
): Promise<ReadonlyMap<Cell, Found>> {
  const cells = payloads.flatMap((payloadBytes) =>
    inFlight.map((count) => ({ payloadBytes, inFlight: count })),
  );
  const best = new Map(cells.map((cell) => [cell, new Map() as Found]));
  for (let round = 0; round <= rounds; round += 1) {
    host.progress(round === 0 ? 'warming up' : `round ${round} of ${rounds}`);
    for (const [cell, found] of best) {
      for (const turn of [0, 1]) {
        host.signal.throwIfAborted();
        const receipt = (turn + round) % 2 === 0;
        const sample = await ends.measure(cell, receipt, round === 0 ? WARM_UP_SECONDS : seconds);
        if (round > 0) found.set(receipt, bestOf(found.get(receipt), sample));
      }
    }
  }
  return best;
}

/** A node's and a client's process. */
class Ends {
  readonly client: WorkerProcess<ClientQuestions>;
  readonly #node: WorkerProcess<NodeQuestions>;

  private constructor(node: WorkerProcess<NodeQuestions>, client: WorkerProcess<ClientQuestions>) {
    this.#node = node;
    this.client = client;
  }

  static async start(directory: string): Promise<Ends> {
    const node = await WorkerProcess.start<NodeQuestions>(
      new URL('receipt/node.ts', import.meta.url),
      { what: 'receipt node' },
    );
    let client: WorkerProcess<ClientQuestions> | undefined;
    try {
      const address = await node.ask('serve', { dataDir: path.join(directory, 'node') });
      const folder = path.join(directory, 'model');
      await mkdir(folder);
      await writeTinyModel(folder);
      client = await WorkerProcess.start<ClientQuestions>(
        new URL('receipt/client.ts', import.meta.url),
        { what: 'receipt client' },
      );
      await client.ask('connect', { address, folder });
      return new Ends(node, client);
    } catch (error) {
      await client?.stop();
      await node.stop();
      throw error;
    }
  }

  async measure(cell: Cell, receipt: boolean, seconds: number): Promise<Sample> {
    const before = await this.#node.ask('cpu', null);
    const timeoutMs = ASK_TIMEOUT_MS + seconds * 1000;
    const found = await this.client.ask('measure', { ...cell, receipt, seconds }, timeoutMs);
    const after = await this.#node.ask('cpu', null);
    const { p50Us, p99Us, requestsPerSecond, requests, cpuUs } = found;
    return {
      ...{ p50Us, p99Us, requestsPerSecond },
      clientCpuUs: cpuUs / requests,
      serverCpuUs: (after - before) / requests,
    };
  }

  async stop(): Promise<void> {
    await this.client.stop();
    await this.#node.stop();
  }
}

function toRow(cell: Cell, found: Found, alone: Alone | undefined): ReceiptRow[] {
  const [off, on] = [found.get(false), found.get(true)];
  if (off === undefined || on === undefined || alone === undefined) return [];
  return [
    {
      ...cell,
      p50OffUs: rounded(off.p50Us),
      p50OnUs: rounded(on.p50Us),
      p50Ratio: rounded(on.p50Us / off.p50Us),
      requestsOff: Math.round(off.requestsPerSecond),
      requestsOn: Math.round(on.requestsPerSecond),
      requestsRatio: rounded(on.requestsPerSecond / off.requestsPerSecond),
      nodeCpuOffUs: rounded(off.serverCpuUs),
      nodeCpuOnUs: rounded(on.serverCpuUs),
      nodeCpuRatio: rounded(on.serverCpuUs / off.serverCpuUs),
      clientCpuOffUs: rounded(off.clientCpuUs),
      clientCpuOnUs: rounded(on.clientCpuUs),
      clientCpuRatio: rounded(on.clientCpuUs / off.clientCpuUs),
      signUs: rounded(alone.signUs),
      checkUs: rounded(alone.checkUs),
      digestUs: rounded(alone.digestUs),
    },
  ];
}

const pair = (off: number, on: number, ratio: number): string => `${off}, ${on} (${ratio})`;

const COLUMNS: readonly Column<ReceiptRow>[] = [
  { title: 'bytes', value: ({ payloadBytes }) => String(payloadBytes) },
  { title: 'in flight', value: ({ inFlight }) => String(inFlight) },
  {
    title: 'p50 µs off, on',
    value: ({ p50OffUs, p50OnUs, p50Ratio }) => pair(p50OffUs, p50OnUs, p50Ratio),
  },
  {
    title: 'requests/s',
    value: ({ requestsOff, requestsOn, requestsRatio }) =>
      pair(requestsOff, requestsOn, requestsRatio),
  },
  {
    title: 'node CPU µs',
    value: ({ nodeCpuOffUs, nodeCpuOnUs, nodeCpuRatio }) =>
      pair(nodeCpuOffUs, nodeCpuOnUs, nodeCpuRatio),
  },
  {
    title: 'client CPU µs',
    value: ({ clientCpuOffUs, clientCpuOnUs, clientCpuRatio }) =>
      pair(clientCpuOffUs, clientCpuOnUs, clientCpuRatio),
  },
  { title: 'sign µs', value: ({ signUs }) => String(signUs) },
  { title: 'check µs', value: ({ checkUs }) => String(checkUs) },
  { title: 'digest µs', value: ({ digestUs }) => String(digestUs) },
];
