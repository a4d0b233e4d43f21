import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ExecutionError } from '../../protocols/errors.ts';
import { Tensor } from '../../protocols/tensor.ts';
import type { VersionCid } from '../../protocols/types.ts';
import type { ModelFiles } from '../backend/backend.ts';
import { type ModelLoaderInit, type StartedModel, startModel } from '../backend/model-loader.ts';
import { hostIsolation, type Isolation, withHostFiles } from '../backend/isolation.ts';
import { resolveOnnxInit } from '../backend/onnx-init.ts';
import { describeExit } from '../backend/process-exit.ts';
import { RunQueue } from '../backend/run-queue.ts';
import {
  PROBE_ENTRY,
  PROBE_INPUTS,
  PROBE_OUTPUTS,
  probeInput,
  probeModelBytes,
} from './probe-model.ts';

/** Milliseconds to load the model: a GPU's libraries are a gigabyte, read from disk once. */
const LOAD_TIMEOUT_MS = 60_000;

/** Milliseconds one run may take: the first compiles kernels, for seconds. */
const RUN_LIMIT_MS = 60_000;

/** Added to the priority of the trial's process: whatever the node does besides comes first. */
const NICENESS = 15;

/** What an execution provider answered. */
export interface TrialResult {
  readonly values: Float32Array;
  /** Milliseconds of the second run; the first warms up. */
  readonly executeMs: number;
  /** Execution providers the runtime was built with. */
  readonly runtimeProviders: readonly string[];
}

/** Runs the probe model on one execution provider and returns what it answered. */
export type ProviderTrial = (
  provider: string,
  signal: AbortSignal,
  /** The only GPU it sees, as `CUDA_VISIBLE_DEVICES` names it. */
  device?: string,
  /** Whether it sees the files of the host even where processes can be confined to their own. @default false */
  hostFiles?: boolean,
) => Promise<TrialResult>;

/**
 * Trials in throw-away processes, the same that models get, each on its own: a driver that breaks takes nothing with it.
 *
 * @param folder made when missing; what trials leave in it is removed with each
 * @param isolation that of models: what works only outside of it does not work
 */
export function createProviderTrial(folder: string, isolation?: Isolation): ProviderTrial {
  return async (provider, signal, device, hostFiles = false) => {
    await mkdir(folder, { recursive: true });
    const workDir = await mkdtemp(path.join(folder, 'probe-'));
    try {
      const shut = hostFiles ? withHostFiles(isolation ?? (await hostIsolation())) : isolation;
      return await runTrial(provider, { workDir, isolation: shut, device }, signal);
    } finally {
      await rm(workDir, { recursive: true, force: true });
    }
  };
}

/** Where a trial runs. */
type TrialPlace = Pick<ModelLoaderInit, 'workDir' | 'isolation' | 'device'>;

/** @throws {ERR_CONFIG | ERR_INVALID_MODEL | ERR_EXECUTION | ERR_DEADLINE} when the provider does not work here. */
async function runTrial(
  provider: string,
  { workDir, isolation, device }: TrialPlace,
  signal: AbortSignal,
): Promise<TrialResult> {
  const directory = path.join(workDir, 'files');
  await mkdir(directory);
  await writeFile(path.join(directory, PROBE_ENTRY), probeModelBytes());
  const files: ModelFiles = {
    cid: 'probe' as VersionCid,
    directory,
    entry: PROBE_ENTRY,
    inputs: PROBE_INPUTS,
    outputs: PROBE_OUTPUTS,
  };
  const init: ModelLoaderInit = {
    ...resolveOnnxInit({
      threads: 1,
      niceness: NICENESS,
      loadTimeoutMs: LOAD_TIMEOUT_MS,
      // What the CPU answered in its place would say nothing of the provider.
      cpuFallback: provider === 'cpu',
      isolation,
    }),
    workDir,
    device,
    trusted: true,
  };
  const started = await startModel(files, [provider], init, signal);
  try {
    return await answers(started, init.maxMemoryBytes, signal);
  } finally {
    started.process.kill();
    await started.process.exited;
  }
}

async function answers(
  { process, report }: StartedModel,
  maxMemoryBytes: number,
  signal: AbortSignal,
): Promise<TrialResult> {
  const runs = new RunQueue({ onAnswer: () => {} });
  runs.attach(process);
  void process.exited.then((exit) => {
    const error = new ExecutionError(`its process ${describeExit(exit, maxMemoryBytes)}`);
    runs.detach(error, true);
    runs.close(error);
  });
  const input = Tensor.from('FP32', PROBE_INPUTS[0]?.shape as readonly number[], probeInput());
  const run = async () =>
    runs.add([{ index: 0, tensor: input }], [0], { signal, limitMs: RUN_LIMIT_MS });
  await run();
  const { outputs, executeMs } = await run();
  const values = outputs[0]?.tensor.data;
  if (!(values instanceof Float32Array)) {
    throw new ExecutionError('answer holds no FP32 tensor');
  }
  return { values, executeMs, runtimeProviders: report.runtimeProviders };
}
