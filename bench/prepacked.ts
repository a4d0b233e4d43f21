import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Command } from 'commander';
import pino from 'pino';
import type { LoadedModel, ModelFiles } from '../node/backend/backend.ts';
import { createOnnxBackend } from '../node/backend/onnx-backend.ts';
import { PrepackedCache } from '../node/backend/prepacked-cache.ts';
import { privateBytes } from '../node/device/process-memory.ts';
import { Tensor } from '../protocols/tensor.ts';
import type { VersionCid } from '../protocols/types.ts';
import { type BenchHost, benchCommand, positiveInteger } from './command.ts';
import { type BenchModel, GraphWriter } from './graph-writer.ts';
import { type Column, describeCommit, describeMachine, printReport, rounded } from './report.ts';

const MIB = 2 ** 20;

/** Milliseconds one run may take. */
const LIMIT_MS = 60_000;

/** Runs of each process that are timed; the best counts. */
const RUNS = 5;

interface PrepackedOptions {
  readonly json: boolean;
  readonly rounds: number;
}

interface PrepackedRow {
  readonly model: string;
  readonly fileMib: number;
  readonly form: 'files' | 'prepacked';
  /** Until the process answers, the best of the rounds; its own start of some 400 ms is in it. */
  readonly loadMs: number;
  readonly runMs: number;
  /** Of one process for itself alone. */
  readonly ownMib: number | null;
  /** Read in place from the disk's cache, once for all processes of the version. */
  readonly sharedMib: number;
  /** What the form takes on the disk besides the files. */
  readonly diskMib: number;
  /** Milliseconds to make the form, once on a host. */
  readonly makeMs: number | null;
}

/** `npm run bench -- prepacked`: large models on the CPU from their files, and from the form made for this processor. */
export function prepackedCommand(host: BenchHost): Command {
  return benchCommand(
    'prepacked',
    'loads of large models from their files and from the prepacked form',
  )
    .option('--rounds <n>', 'loads of each, in turn; the best counts', positiveInteger, 3)
    .action(async (options: PrepackedOptions) => {
      const machine = describeMachine();
      const rows: PrepackedRow[] = [];
      for (const model of [matrices(), convolutions()]) {
        host.progress(model.name);
        rows.push(...(await measure(model, options.rounds, host.signal)));
      }
      const commit = await describeCommit();
      printReport(
        { bench: 'prepacked', machine, commit, rows, targets: [] },
        COLUMNS,
        options.json,
      );
    });
}

/** Twelve layers of 2048 × 2048. */
function matrices(): BenchModel {
  const graph = new GraphWriter();
  let value = 'x';
  for (let layer = 0; layer < 12; layer += 1) value = graph.dense(value, 2_048, 2_048, 'Relu');
  return graph.model('matrices', [2_048], value, 2_048);
}

/** Eighteen 3 × 3 convolutions of 512 channels over 14 × 14 pixels. */
function convolutions(): BenchModel {
  const graph = new GraphWriter();
  let value = 'x';
  for (let layer = 0; layer < 18; layer += 1) value = graph.convolution(value, 512, 512, 1);
  const pooled = graph.node('Flatten', [graph.node('GlobalAveragePool', [value])]);
  return graph.model('convolutions', [512, 14, 14], pooled, 512);
}

async function measure(
  model: BenchModel,
  rounds: number,
  signal: AbortSignal,
): Promise<PrepackedRow[]> {
  const root = await mkdtemp(path.join(os.tmpdir(), 'gpu-swarm-bench-'));
  const folder = path.join(root, 'derived');
  const cache = new PrepackedCache({
    folder,
    hasRoom: async () => true,
    reserve: async () => () => {},
    logger: pino({ level: 'silent' }),
  });
  const backend = createOnnxBackend({ threads: 1, prepackedCache: cache });
  try {
    const directory = path.join(root, 'files');
    await mkdir(directory);
    await writeFile(path.join(directory, 'model.onnx'), model.bytes);
    const files: ModelFiles = {
      ...{ cid: 'bench' as VersionCid, directory, entry: 'model.onnx' },
      ...{ inputs: model.inputs, outputs: model.outputs },
    };
    const load = async (derived: boolean): Promise<LoadedModel> =>
      backend.load(files, { signal, derived });
    const startedAtMs = performance.now();
    await (await load(true)).unload();
    const firstMs = performance.now() - startedAtMs;
    const found = { files: new Finding(), prepacked: new Finding() };
    for (let round = 0; round < rounds; round += 1) {
      await found.files.take(() => load(false), model, signal);
      await found.prepacked.take(() => load(true), model, signal);
    }
    const fileMib = rounded(model.bytes.byteLength / MIB);
    const diskMib = rounded((await bytesBelow(folder)) / MIB);
    const makeMs = Math.round(firstMs - found.prepacked.loadMs);
    return [
      { model: model.name, fileMib, form: 'files', ...found.files.row(), diskMib: 0, makeMs: null },
      { model: model.name, fileMib, form: 'prepacked', ...found.prepacked.row(), diskMib, makeMs },
    ];
  } finally {
    await backend.stop();
    await rm(root, { recursive: true, force: true });
  }
}

/** The best of what one form gave. */
class Finding {
  loadMs = Number.POSITIVE_INFINITY;
  #runMs = Number.POSITIVE_INFINITY;
  #ownBytes: number | null = null;
  #sharedBytes = 0;

  async take(
    load: () => Promise<LoadedModel>,
    { itemShape }: BenchModel,
    signal: AbortSignal,
  ): Promise<void> {
    const startedAtMs = performance.now();
    const loaded = await load();
    this.loadMs = Math.min(this.loadMs, performance.now() - startedAtMs);
    const shape = [1, ...itemShape];
    const count = shape.reduce((product, size) => product * size, 1);
    const values = Float32Array.from({ length: count }, (_, index) => Math.sin(index));
    const tensor = new Tensor('FP32', shape, new Uint8Array(values.buffer));
    for (let run = 0; run < RUNS; run += 1) {
      const { executeMs } = await loaded.run([{ name: 'x', tensor }], {
        limitMs: LIMIT_MS,
        signal,
      });
      this.#runMs = Math.min(this.#runMs, executeMs);
    }
    this.#ownBytes = privateBytes(loaded.pid);
    this.#sharedBytes = loaded.mappedBytes ?? 0;
    await loaded.unload();
  }

  row(): Pick<PrepackedRow, 'loadMs' | 'runMs' | 'ownMib' | 'sharedMib'> {
    return {
      loadMs: rounded(this.loadMs),
      runMs: rounded(this.#runMs),
      ownMib: this.#ownBytes === null ? null : rounded(this.#ownBytes / MIB),
      sharedMib: rounded(this.#sharedBytes / MIB),
    };
  }
}

async function bytesBelow(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true });
  const sizes = names.map(async (name) => {
    const found = await stat(path.join(folder, name));
    return found.isFile() ? found.size : 0;
  });
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

const COLUMNS: readonly Column<PrepackedRow>[] = [
  { title: 'model', value: ({ model }) => model },
  { title: 'file MiB', value: ({ fileMib }) => String(fileMib) },
  { title: 'loaded from', value: ({ form }) => form },
  { title: 'load ms', value: ({ loadMs }) => String(loadMs) },
  { title: 'run ms', value: ({ runMs }) => String(runMs) },
  { title: 'own MiB', value: ({ ownMib }) => String(ownMib ?? '') },
  { title: 'shared MiB', value: ({ sharedMib }) => String(sharedMib) },
  { title: 'disk MiB', value: ({ diskMib }) => String(diskMib) },
  { title: 'make ms', value: ({ makeMs }) => String(makeMs ?? '') },
];
