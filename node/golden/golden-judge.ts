import type { Tolerance } from '../../protocols/manifest/index.ts';
import type { NamedTensor } from '../../protocols/tensor.ts';
import type { ModelInterface } from '../../src/model/model-scan.ts';
import { readGoldenFile, toleranceOf } from '../../src/model/golden-file.ts';
import { findOutputDifference, type OutputDifference } from '../../src/policy/output-comparison.ts';

export interface GoldenJudgeOptions {
  /** What errors call the file. */
  readonly fileName: string;
  readonly model: Pick<ModelInterface, 'inputs' | 'outputs'>;
  /** For cases and outputs that have none of their own. */
  readonly tolerance: Tolerance | undefined;
}

/** What a model is to be run on. */
export interface GoldenQuestion {
  readonly inputs: readonly NamedTensor[];
  /** Names of the outputs that are compared. */
  readonly wanted: readonly string[];
}

/**
 * Yields one golden vector after the other, is given what the model answered to it, and returns the first difference, or
 * undefined when all were right.
 *
 * @throws {ERR_INVALID_MODEL} when the vectors are not for the model; see {@link readGoldenFile}.
 */
export function* judgeGolden(
  bytes: Uint8Array,
  { fileName, model, tolerance }: GoldenJudgeOptions,
): Generator<GoldenQuestion, OutputDifference | undefined, readonly NamedTensor[]> {
  for (const golden of readGoldenFile(bytes, { fileName, model })) {
    const { inputs, outputs } = golden;
    const found = yield { inputs, wanted: outputs.map(({ name }) => name) };
    const difference = findOutputDifference(outputs, found, (output) =>
      toleranceOf(golden, output, tolerance),
    );
    if (difference !== undefined) return difference;
  }
  return undefined;
}
