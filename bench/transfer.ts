import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Command } from 'commander';
import { type BenchHost, benchCommand, positiveInteger, someOf } from './command.ts';
import { describeCommit, describeMachine, printReport } from './report.ts';
import { installBitswap } from './transfer/bitswap-package.ts';
import { measureDedup, type Revision } from './transfer/dedup.ts';
import { measureFlashCrowd } from './transfer/flash-crowd.ts';
import { TENSOR_BYTES, writeModel } from './transfer/model.ts';
import { BITSWAP, MOVER_NAMES, type MoverName } from './transfer/movers.ts';
import { measureOneSource } from './transfer/one-source.ts';
import { COLUMNS, MIB, type TransferRow, toRow } from './transfer/row.ts';
import {
  ALONE,
  CROWD_NODES,
  ONE_TENSOR,
  SHIFTED,
  TOGETHER,
  transferTargets,
  UPLOAD_BYTES,
} from './transfer/targets.ts';

const COMPARISONS = ['one source', 'flash crowd', 'dedup'] as const;

const DEDUP_TENSORS = 48;

const REVISIONS: readonly Revision[] = [
  { title: ONE_TENSOR, change: { changed: 20 } },
  { title: SHIFTED, change: { longerBytes: 100 } },
];

interface TransferOptions {
  readonly json: boolean;
  readonly rounds: number;
  readonly comparisons: readonly (typeof COMPARISONS)[number][];
  readonly movers: readonly MoverName[];
  readonly mib: number;
  readonly crowdMib: number;
  readonly profile?: string;
}

/** `npm run bench -- transfer`: moving models between nodes, each a process of its own, beside its peers and its limit. */
export function transferCommand(host: BenchHost): Command {
  return benchCommand('transfer', 'moving models against a TLS socket and bitswap; flash crowd')
    .option('--rounds <n>', 'fetches over each mover, interleaved', positiveInteger, 5)
    .option('--comparisons <list>', `of ${COMPARISONS.join(', ')}`, someOf(COMPARISONS), [
      ...COMPARISONS,
    ])
    .option('--movers <list>', `of ${MOVER_NAMES.join(', ')}`, someOf(MOVER_NAMES), [
      ...MOVER_NAMES,
    ])
    .option('--mib <n>', 'MiB moved from one source to one sink', positiveInteger, 256)
    .option('--crowd-mib <n>', 'MiB that each node of the crowd wants', positiveInteger, 64)
    .option('--profile <dir>', 'write a CPU profile of every process there')
    .action(async (options: TransferOptions) => {
      const machine = describeMachine();
      const rows = await runTransfer(options, host);
      printReport(
        {
          bench: 'transfer',
          machine,
          commit: await describeCommit(),
          rows,
          targets: transferTargets(rows),
        },
        COLUMNS,
        options.json,
      );
    });
}

async function runTransfer(options: TransferOptions, host: BenchHost): Promise<TransferRow[]> {
  for (const mib of [options.mib, options.crowdMib]) checkSize(mib);
  const root = await mkdtemp(path.join(os.tmpdir(), 'gpu-swarm-bench-'));
  const rows: TransferRow[] = [];
  try {
    for (const comparison of options.comparisons) {
      host.signal.throwIfAborted();
      const folder = path.join(root, comparison);
      await mkdir(folder);
      if (comparison === 'one source') rows.push(...(await oneSource(folder, options, host)));
      else if (comparison === 'flash crowd') {
        const file = await modelOf(folder, options.crowdMib);
        rows.push(await flashCrowd({ ...options, folder, file }, TOGETHER, CROWD_NODES, host));
        rows.push(await flashCrowd({ ...options, folder, file }, ALONE, 1, host));
      } else rows.push(...(await dedup(folder, options, host)));
      await rm(folder, { recursive: true });
    }
    return rows;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

function checkSize(mib: number): void {
  if ((mib * MIB) % TENSOR_BYTES === 0) return;
  throw new RangeError(
    `model has ${mib} MiB, expected a multiple of the ${TENSOR_BYTES / MIB} MiB of a tensor`,
  );
}

async function oneSource(
  folder: string,
  options: TransferOptions,
  host: BenchHost,
): Promise<TransferRow[]> {
  const movers = [...options.movers];
  if (movers.includes(BITSWAP)) {
    try {
      host.progress('one source: looking for bitswap, which is installed when it is not there');
      await installBitswap(host.signal);
    } catch (error) {
      host.signal.throwIfAborted();
      const reason = error instanceof Error ? error.message : String(error);
      host.progress(`one source: bitswap is left out, it cannot be installed: ${reason}`);
      movers.splice(movers.indexOf(BITSWAP), 1);
    }
  }
  const file = await modelOf(folder, options.mib);
  const { rounds, profile } = options;
  const found = await measureOneSource({ movers, file, folder, rounds, profileDir: profile }, host);
  const { size: wantedBytes } = await stat(file);
  return [...found].map(([mover, samples]) =>
    toRow({ comparison: 'one source', variant: mover, wantedBytes }, samples),
  );
}

async function flashCrowd(
  { folder, file, profile }: TransferOptions & { readonly folder: string; readonly file: string },
  variant: string,
  nodes: number,
  host: BenchHost,
): Promise<TransferRow> {
  const sample = await measureFlashCrowd(
    { file, folder, nodes, uploadBytesPerSecond: UPLOAD_BYTES, profileDir: profile },
    host,
  );
  const wantedBytes = (await stat(file)).size * nodes;
  return toRow({ comparison: 'flash crowd', variant, wantedBytes }, [sample]);
}

async function dedup(
  folder: string,
  { profile }: TransferOptions,
  host: BenchHost,
): Promise<TransferRow[]> {
  const options = { tensors: DEDUP_TENSORS, folder, revisions: REVISIONS, profileDir: profile };
  const found = await measureDedup(options, host);
  const wantedBytes = DEDUP_TENSORS * TENSOR_BYTES;
  return [...found].map(([{ title }, sample]) =>
    toRow({ comparison: 'dedup', variant: title, wantedBytes }, [sample], sample),
  );
}

async function modelOf(folder: string, mib: number): Promise<string> {
  const file = path.join(folder, `${mib}-mib.onnx`);
  await writeModel(file, { tensors: (mib * MIB) / TENSOR_BYTES });
  return file;
}
