import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { DeadlineError, InvalidModelError, isSwarmError } from '../../protocols/errors.ts';
import type { GoldenReference, Tolerance } from '../../protocols/manifest/index.ts';
import type { NamedTensor } from '../../protocols/tensor.ts';
import { describeOutputDifference } from '../../src/policy/output-comparison.ts';
import type { InferenceBackend, LoadedModel, LoadOptions, ModelFiles } from '../backend/backend.ts';
import { judgeGolden, type GoldenQuestion } from './golden-judge.ts';
import { judgeInThread } from './golden-thread.ts';

/** Milliseconds one case may take: the first compiles a GPU's kernels, for seconds. */
const CASE_LIMIT_MS = 60_000;

/** Milliseconds all cases may take together, loading apart. */
const GOLDEN_TIMEOUT_MS = 300_000;

/** Bytes of a file that is read where the network is: 1 ms, or 5 the first time. A thread takes 0.1 s to come up. */
const MAX_INLINE_BYTES = 64 * 1024;

/** What a manifest says of the version's golden vectors. */
export interface GoldenVectors extends GoldenReference {
  /** For cases and outputs that have none of their own. */
  readonly tolerance: Tolerance | undefined;
}

/**
 * Runs a version's golden vectors, in a process of their own that ends with them: what a first run leaves behind, or breaks, is
 * not what requests meet.
 *
 * @param load how the version will be loaded to serve: with one execution provider, or it is not known which one was checked
 * @throws {ERR_INVALID_MODEL} when an answer is not the expected one; `details` has case, output, element, what was expected and
 *   found, and the tolerance. Also when the vectors are not for the model.
 * @throws {ERR_EXECUTION} when a case fails. {ERR_DEADLINE} when they take longer than 5 minutes. As {@link InferenceBackend.load}.
 */
export async function checkGolden(
  backend: InferenceBackend,
  files: ModelFiles,
  vectors: GoldenVectors,
  load: LoadOptions,
): Promise<void> {
  const bytes = await readFile(path.join(files.directory, vectors.file));
  const model = await backend.load(files, load);
  try {
    const timeout = AbortSignal.timeout(GOLDEN_TIMEOUT_MS);
    const signal = load.signal === undefined ? timeout : AbortSignal.any([load.signal, timeout]);
    try {
      await checkCases(model, { bytes, files, vectors, signal });
    } catch (error) {
      load.signal?.throwIfAborted();
      if (!timeout.aborted) throw error;
      throw new DeadlineError(
        `golden vectors of ${vectors.file} took longer than ${GOLDEN_TIMEOUT_MS} ms`,
        'start',
        { cause: error },
      );
    }
  } finally {
    await model.unload();
  }
}

interface CheckCasesOptions {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly files: ModelFiles;
  readonly vectors: GoldenVectors;
  readonly signal: AbortSignal;
}

async function checkCases(model: LoadedModel, options: CheckCasesOptions): Promise<void> {
  const { bytes, files, vectors, signal } = options;
  const { file, tolerance } = vectors;
  const { inputs, outputs } = files;
  const judge = { fileName: file, model: { inputs, outputs }, tolerance };
  const judging =
    bytes.byteLength <= MAX_INLINE_BYTES
      ? judgeGolden(bytes, judge)
      : judgeInThread(bytes, { ...judge, signal });
  const { provider } = model;
  const whereOf = (index: number): string => `golden vector ${index} of ${file} on ${provider}`;
  try {
    let step = await judging.next([]);
    let index = -1;
    while (step.done !== true) {
      index += 1;
      step = await judging.next(await answer(model, step.value, whereOf(index), signal));
    }
    if (step.value === undefined) return;
    throw new InvalidModelError(`${whereOf(index)}: ${describeOutputDifference(step.value)}`, {
      details: { file, case: index, provider, ...step.value },
    });
  } finally {
    await judging.return(undefined);
  }
}

async function answer(
  model: LoadedModel,
  { inputs, wanted }: GoldenQuestion,
  where: string,
  signal: AbortSignal,
): Promise<readonly NamedTensor[]> {
  try {
    const { outputs } = await model.run(inputs, {
      outputs: wanted,
      limitMs: CASE_LIMIT_MS,
      signal,
    });
    return outputs;
  } catch (error) {
    if (!isSwarmError(error) || error.code !== 'ERR_INVALID_INPUT') throw error;
    throw new InvalidModelError(`${where}: ${error.message}`, {
      cause: error,
      details: { provider: model.provider },
    });
  }
}
