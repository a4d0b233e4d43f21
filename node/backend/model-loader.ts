import { rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  DeadlineError,
  ExecutionError,
  InvalidModelError,
  isSwarmError,
  LimitError,
} from '../../protocols/errors.ts';
import type { SessionOptions } from '../../protocols/manifest/index.ts';
import type { TensorSpec } from '../../protocols/types.ts';
import type { ModelFiles } from './backend.ts';
import { hostIsolation, withHostFiles } from './isolation.ts';
import { parseLoadReport } from './load-report.ts';
import { ModelProcess } from './model-process.ts';
import type { ResolvedOnnxInit } from './onnx-init.ts';
import type { PrepackedModel } from './prepacked-cache.ts';
import { PIPE_FRAME } from './pipe-frame.ts';
import {
  decodeFailure,
  type LoadCommand,
  type LoadReport,
  parsePipeFailure,
} from './pipe-message.ts';
import { describeExit, isFault, memoryVerdict, type ProcessExit } from './process-exit.ts';

/** Bytes of a frame besides the tensors' data: a thousand outputs of high rank, or the longest load report. */
const FRAME_OVERHEAD_BYTES = 16 * 1024 * 1024;

/** A process that holds a model and waits for runs. */
export interface StartedModel {
  readonly process: ModelProcess;
  readonly report: LoadReport;
  readonly provider: string;
  /** The form it was loaded in; undefined for the files themselves. */
  readonly prepacked: PrepackedModel | undefined;
}

/** What is the same for each load; the providers to try are an argument of their own. */
export type ModelLoaderInit = Omit<ResolvedOnnxInit, 'workDir' | 'providers' | 'prepackedCache'> & {
  readonly workDir: string;
  /** How the publisher wants sessions made. @default {} */
  readonly session?: SessionOptions | undefined;
  /** The only GPU that the process sees. @default those that this process sees */
  readonly device?: string | undefined;
  /** Whether the model is the node's own. @default false */
  readonly trusted?: boolean | undefined;
  /** The form of the model for the CPU; where it does not load, the files do. @default none */
  readonly prepacked?: PrepackedModel | undefined;
};

/**
 * Starts a process that holds the model, on the first of the providers that takes it.
 *
 * @throws {ERR_INVALID_MODEL | ERR_CONFIG | ERR_LIMIT | ERR_EXECUTION | ERR_DEADLINE} as the last provider's attempt did.
 */
export async function startModel(
  files: ModelFiles,
  providers: readonly string[],
  init: ModelLoaderInit,
  signal: AbortSignal,
): Promise<StartedModel> {
  let failure: unknown;
  for (const provider of providers) {
    const forms = provider === 'cpu' && init.prepacked ? [init.prepacked, undefined] : [undefined];
    for (const prepacked of forms) {
      try {
        // A process for each attempt: a provider that fails may leave anything behind.
        return await startUndisturbed(files, { provider, prepacked, make: false }, init, signal);
      } catch (error) {
        signal.throwIfAborted();
        failure = error;
      }
    }
  }
  throw failure;
}

/**
 * Has a process of its own make the prepacked form of a model for the CPU.
 *
 * @returns absolute path of the folder with it, which the caller removes
 * @throws as {@link startModel}
 */
export async function prepackModel(
  files: ModelFiles,
  init: ModelLoaderInit,
  signal: AbortSignal,
): Promise<string> {
  const how = { provider: 'cpu', prepacked: undefined, make: true };
  const { process } = await startOn(files, how, init, signal);
  // Before its files are looked at: what has ended cannot change them any more.
  process.kill();
  await process.exited;
  return process.folder;
}

/** One attempt. */
interface Attempt {
  readonly provider: string;
  readonly prepacked: PrepackedModel | undefined;
  /** Whether the prepacked form is made, in the process's folder, which outlives it then. */
  readonly make: boolean;
}

/** Once more where the process was killed from outside, by whoever is short of memory: that says nothing of the model. */
async function startUndisturbed(
  files: ModelFiles,
  attempt: Attempt,
  init: ModelLoaderInit,
  signal: AbortSignal,
): Promise<StartedModel> {
  try {
    return await startOn(files, attempt, init, signal);
  } catch (error) {
    if (!isSwarmError(error) || error.details['killedBy'] === undefined) throw error;
    return startOn(files, attempt, init, signal);
  }
}

async function startOn(
  files: ModelFiles,
  { provider, prepacked, make }: Attempt,
  init: ModelLoaderInit,
  signal: AbortSignal,
): Promise<StartedModel> {
  signal.throwIfAborted();
  const isolation = init.isolation ?? (await hostIsolation());
  const process = await ModelProcess.start({
    workDir: init.workDir,
    maxMemoryBytes: init.maxMemoryBytes,
    maxFrameBytes: init.maxResponseBytes + FRAME_OVERHEAD_BYTES,
    niceness: init.niceness,
    isolation: init.needsHostFiles(provider) ? withHostFiles(isolation) : isolation,
    readable: [files, prepacked ?? []].flat().map(({ directory }) => path.resolve(directory)),
    keepFolder: make,
    trusted: init.trusted,
    device: init.device,
  });
  const { directory, entry } = files;
  const { deviceId, threads, cpuFallback, maxResponseBytes, loopLimitMs, session = {} } = init;
  const settings = { provider, deviceId, threads, cpuFallback, session };
  try {
    const refuseLoops = loopLimitMs === 0;
    const form = make ? ({ make } as const) : prepacked && { directory: prepacked.directory };
    const command: LoadCommand = {
      ...{ directory, entry, settings, maxResponseBytes, refuseLoops },
      prepacked: form,
    };
    process.send(PIPE_FRAME.load, 0, [Buffer.from(JSON.stringify(command))]);
    const report = await loaded(process, files, init, signal);
    checkDeclared('input', files.inputs, report.inputs, []);
    checkDeclared('output', files.outputs, report.outputs, report.notes);
    return { process, report, provider, prepacked };
  } catch (error) {
    process.kill();
    await process.exited;
    if (make) await rm(process.folder, { recursive: true, force: true });
    throw error;
  }
}

async function loaded(
  process: ModelProcess,
  { entry }: ModelFiles,
  { loadTimeoutMs, maxMemoryBytes }: ModelLoaderInit,
  signal: AbortSignal,
): Promise<LoadReport> {
  const settled = new AbortController();
  try {
    return await Promise.race([
      answered(process),
      process.exited.then((exit) => {
        throw loadExitError(entry, exit, maxMemoryBytes);
      }),
      delay(loadTimeoutMs, undefined, { signal: settled.signal, ref: false }).then(() => {
        throw new DeadlineError(`${entry} was not loaded within ${loadTimeoutMs} ms`, 'start');
      }),
      aborted(signal, settled.signal),
    ]);
  } finally {
    settled.abort();
  }
}

async function answered(process: ModelProcess): Promise<LoadReport> {
  return new Promise((resolve, reject) => {
    process.onFrame = ({ type, payload }) => {
      if (type === PIPE_FRAME.loaded) resolve(parseLoadReport(payload));
      else reject(decodeFailure(parsePipeFailure(payload)));
    };
  });
}

async function aborted(signal: AbortSignal, settled: AbortSignal): Promise<never> {
  // While the process was started nobody listened.
  signal.throwIfAborted();
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { signal: settled });
  });
}

function loadExitError(entry: string, exit: ProcessExit, maxMemoryBytes: number): Error {
  const what = `process ${describeExit(exit, maxMemoryBytes)} while it loaded ${entry}`;
  if (memoryVerdict(exit) !== undefined) return new LimitError(what);
  if (exit.signal !== null && isFault(exit)) return new InvalidModelError(what);
  // A kill from outside says nothing of the model; nor does a process that could not even start.
  const details = exit.signal === null ? {} : { killedBy: exit.signal };
  return new ExecutionError(what, { details });
}

/** The manifest is what callers were told: a model that is not it must not answer for it. */
function checkDeclared(
  kind: 'input' | 'output',
  declared: readonly TensorSpec[],
  found: readonly TensorSpec[],
  notes: readonly string[],
): void {
  const text = (specs: readonly TensorSpec[]) =>
    specs.map(({ name, datatype }) => `'${name}' ${datatype}`).join(', ') || 'none';
  const byName = new Map(found.map((spec) => [spec.name, spec.datatype]));
  const same =
    declared.length === found.length &&
    declared.every(({ name, datatype }) => byName.get(name) === datatype);
  if (same) return;
  const left = notes.length > 0 ? ` (${notes.join('; ')})` : '';
  throw new InvalidModelError(
    `manifest declares ${kind}s ${text(declared)}, the model has ${text(found)}${left}`,
  );
}
