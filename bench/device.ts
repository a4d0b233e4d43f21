import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Command } from 'commander';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { createOnnxBackend } from '../node/backend/onnx-backend.ts';
import { queryNvidiaGpus } from '../node/device/nvidia-smi.ts';
import { Tensor } from '../protocols/tensor.ts';
import type { VersionCid } from '../protocols/types.ts';
import { findGpuProviders } from '../test/support/gpu-providers.ts';
import {
  type BenchHost,
  benchCommand,
  positiveIntegers,
  positiveNumber,
  someOf,
} from './command.ts';
import { deviceModels } from './device/models.ts';
import type { BenchModel } from './graph-writer.ts';
import { type Column, describeCommit, describeMachine, printReport, rounded } from './report.ts';

/** Runs before the clock starts: the first ones compile kernels and fill allocators. */
const WARM_UP_RUNS = 5;

/** Milliseconds one run may take. */
const LIMIT_MS = 60_000;

/** Batches handed to the executor at once: while one runs, the next is on its way to the process. */
const IN_FLIGHT = 2;

const PROVIDERS = ['cuda', 'webgpu', 'cpu'] as const;

interface DeviceOptions {
  readonly provider?: (typeof PROVIDERS)[number][];
  readonly batch: number[];
  readonly seconds: number;
  readonly rounds: number;
  readonly json: boolean;
}

interface DeviceRow {
  readonly model: string;
  readonly provider: string;
  readonly batch: number;
  /** Items a second of ONNX Runtime in one process, called again and again. */
  readonly rawPerSecond: number;
  /** Items a second through the node's executor, another process. */
  readonly executorPerSecond: number;
  readonly executorPerRaw: number;
  /** Items a second of the executor, over those at the first batch size. */
  readonly gain: number;
}

/** Runs one batch. */
type RunBatch = () => Promise<unknown>;

/** `npm run bench -- device`: items a second by batch size, the node's executor beside ONNX Runtime alone, on each provider. */
export function deviceCommand({ signal, progress }: BenchHost): Command {
  return benchCommand(
    'device',
    "the node's executor beside ONNX Runtime alone, by provider and batch size",
  )
    .option(
      '--provider <names>',
      'execution providers, separated by commas; without it all that work here',
      someOf(PROVIDERS),
    )
    .option('--batch <sizes>', 'items in one run', positiveIntegers, [1, 2, 4, 8, 16, 32])
    .option('--seconds <n>', 'of each measurement', positiveNumber, 1)
    .option('--rounds <n>', 'of each, interleaved; the best counts', positiveNumber, 3)
    .action(async (options: DeviceOptions) => {
      const gpus = (await queryNvidiaGpus({ signal })).map(
        ({ name, driverVersion }) => `${name} (driver ${driverVersion})`,
      );
      const machine = [describeMachine(), ...gpus].join(', ');
      const providers = options.provider ?? [...(await findGpuProviders()).working, 'cpu'];
      const rows: DeviceRow[] = [];
      for (const model of deviceModels()) {
        for (const provider of providers) {
          progress(`${model.name} on ${provider}`);
          rows.push(...(await measureModel(model, provider, options, signal)));
        }
      }
      printReport(
        { bench: 'device', machine, commit: await describeCommit(), rows, targets: [] },
        COLUMNS,
        options.json,
      );
    });
}

async function measureModel(
  model: BenchModel,
  provider: string,
  { batch: batches, seconds, rounds }: DeviceOptions,
  signal: AbortSignal,
): Promise<DeviceRow[]> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'gpu-swarm-bench-'));
  const backend = createOnnxBackend({ providers: [provider], threads: threads() });
  try {
    const entry = 'model.onnx';
    await writeFile(path.join(directory, entry), model.bytes);
    const { inputs, outputs } = model;
    const files = { cid: 'bench' as VersionCid, directory, entry, inputs, outputs };
    const session = await openSession(path.join(directory, entry), provider);
    const loaded = await backend.load(files, { signal });
    const rows: DeviceRow[] = [];
    for (const batch of batches) {
      const shape = [batch, ...model.itemShape];
      const values = Float32Array.from({ length: elementCount(shape) }, (_, index) =>
        Math.sin(index),
      );
      const ortTensor = new OrtTensor('float32', values, shape);
      const tensor = new Tensor('FP32', shape, new Uint8Array(values.buffer));
      const raw: RunBatch = async () => session.run({ x: ortTensor });
      const executor: RunBatch = async () =>
        loaded.run([{ name: 'x', tensor }], { limitMs: LIMIT_MS, signal });
      const best = { raw: 0, executor: 0 };
      for (let round = 0; round < rounds; round += 1) {
        best.raw = Math.max(best.raw, await runsPerSecond(raw, 1, seconds, signal));
        const measured = await runsPerSecond(executor, IN_FLIGHT, seconds, signal);
        best.executor = Math.max(best.executor, measured);
      }
      rows.push({
        model: model.name,
        provider: loaded.provider,
        batch,
        rawPerSecond: rounded(best.raw * batch),
        executorPerSecond: rounded(best.executor * batch),
        executorPerRaw: rounded(best.executor / best.raw),
        gain: rounded(
          (best.executor * batch) / (rows[0]?.executorPerSecond ?? best.executor * batch),
        ),
      });
    }
    await session.release();
    return rows;
  } finally {
    await backend.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

/** The settings of the executor's own sessions. */
async function openSession(file: string, provider: string): Promise<InferenceSession> {
  return InferenceSession.create(file, {
    executionProviders: [{ name: provider }],
    executionMode: 'sequential',
    intraOpNumThreads: threads(),
    interOpNumThreads: 1,
    enableCpuMemArena: false,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
}

function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function threads(): number {
  return Math.max(1, os.availableParallelism() - 1);
}

/** Closed loop: as many callers as `inFlight`, each sending its next when its last is answered. */
async function runsPerSecond(
  run: RunBatch,
  inFlight: number,
  seconds: number,
  signal: AbortSignal,
): Promise<number> {
  for (let index = 0; index < WARM_UP_RUNS; index += 1) await run();
  const start = performance.now();
  const end = start + seconds * 1_000;
  let count = 0;
  const caller = async () => {
    while (performance.now() < end) {
      signal.throwIfAborted();
      await run();
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
  return (count * 1_000) / (performance.now() - start);
}

const COLUMNS: readonly Column<DeviceRow>[] = [
  { title: 'model', value: ({ model }) => model },
  { title: 'provider', value: ({ provider }) => provider },
  { title: 'batch', value: ({ batch }) => String(batch) },
  { title: 'runtime items/s', value: ({ rawPerSecond }) => String(rawPerSecond) },
  { title: 'executor items/s', value: ({ executorPerSecond }) => String(executorPerSecond) },
  { title: 'executor / runtime', value: ({ executorPerRaw }) => String(executorPerRaw) },
  { title: 'batch gain', value: ({ gain }) => String(gain) },
];
