import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DeadlineError, InvalidModelError, isSwarmError } from '../protocols/errors.ts';
import type { GoldenReference, Tolerance } from '../protocols/manifest/index.ts';
import type { AbortOptions } from '../protocols/types.ts';
import { type GoldenCase, readGoldenFile, toleranceOf } from '../src/model/golden-file.ts';
import { describeOutputDifference, findOutputDifference } from '../src/policy/output-comparison.ts';
import type { InferenceBackend, LoadedModel, LoadOptions, ModelFiles } from './backend/backend.ts';

/** Milliseconds one case may take: the first compiles a GPU's kernels, for seconds. */
const CASE_LIMIT_MS = 60_000;

/** Milliseconds all cases may take together, loading apart. */
const GOLDEN_TIMEOUT_MS = 300_000;

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
      let index = 0;
      for (const golden of readGoldenFile(bytes, { fileName: vectors.file, model: files })) {
        await checkCase(model, golden, vectors, { index, signal });
        index += 1;
        // Thousands of numbers were parsed meanwhile: others wait for this thread too.
        await nextTurn();
      }
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

async function checkCase(
  model: LoadedModel,
  golden: GoldenCase,
  vectors: GoldenVectors,
  { index, signal }: AbortOptions & { readonly index: number },
): Promise<void> {
  const { file } = vectors;
  const where = `golden vector ${index} of ${file} on ${model.provider}`;
  const wanted = golden.outputs.map(({ name }) => name);
  let outputs: Awaited<ReturnType<LoadedModel['run']>>['outputs'];
  try {
    ({ outputs } = await model.run(golden.inputs, {
      outputs: wanted,
      limitMs: CASE_LIMIT_MS,
      signal,
    }));
  } catch (error) {
    if (!isSwarmError(error) || error.code !== 'ERR_INVALID_INPUT') throw error;
    throw new InvalidModelError(`${where}: ${error.message}`, {
      cause: error,
      details: { file, case: index, provider: model.provider },
    });
  }
  const difference = findOutputDifference(golden.outputs, outputs, (output) =>
    toleranceOf(golden, output, vectors.tolerance),
  );
  if (difference === undefined) return;
  throw new InvalidModelError(`${where}: ${describeOutputDifference(difference)}`, {
    details: { file, case: index, provider: model.provider, ...difference },
  });
}
