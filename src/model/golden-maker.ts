import { InvalidModelError, isSwarmError, LimitError } from '../../protocols/errors.ts';
import {
  DEFAULT_TOLERANCE,
  MAX_GOLDEN_BYTES,
  type Tolerance,
} from '../../protocols/manifest/index.ts';
import { quoted } from '../../protocols/quoted.ts';
import type { NamedTensor, Tensor } from '../../protocols/tensor.ts';
import type { AbortOptions } from '../../protocols/types.ts';
import { formatGoldenFile, type GoldenCase, type GoldenOutput } from './golden-file.ts';
import type { ModelInterface } from './model-scan.ts';
import { createSeededInputs, SEEDED_INPUT_KINDS } from './seeded-input.ts';

/** Elements of one case's inputs: as JSON they fit the file several times. */
const MAX_ELEMENTS = 512 * 1024;

const SEED = 1;

/** Runs the model once on this host's CPU. */
export type ModelRun = (
  inputs: readonly NamedTensor[],
  options: AbortOptions,
) => Promise<readonly NamedTensor[]>;

/** Golden vectors that were made, and their file's bytes. */
export interface MadeGolden {
  readonly cases: readonly GoldenCase[];
  readonly bytes: Uint8Array;
}

export interface MakeGoldenOptions extends AbortOptions {
  /** Digest of the model, for the file to say what it was made for. */
  readonly madeFor: string;
}

/**
 * Makes golden vectors: runs the model on made-up inputs. Equal models give equal bytes on one machine; on another the last bits
 * may differ, which is why they are saved.
 *
 * A second case has two rows where the model leaves their number free.
 *
 * @throws {ERR_INVALID_MODEL} when the model takes no made-up inputs, or answers the same ones differently.
 * @throws {ERR_LIMIT} when its answers do not fit a file of golden vectors.
 */
export async function makeGolden(
  model: Pick<ModelInterface, 'inputs'>,
  run: ModelRun,
  { signal, madeFor }: MakeGoldenOptions,
): Promise<MadeGolden> {
  let refusal: string | undefined;
  for (const kind of SEEDED_INPUT_KINDS) {
    const init = { ...kind, seed: SEED, rows: 1, maxElements: MAX_ELEMENTS };
    const inputs = createSeededInputs(model.inputs, init);
    if (inputs === undefined) continue;
    const first = await attempt(inputs, run, signal);
    if (typeof first === 'string') {
      refusal ??= first;
      continue;
    }
    await checkRepeatable(first, run, signal);
    const more = createSeededInputs(model.inputs, { ...init, seed: SEED + 1, rows: 2 });
    const second = more === undefined ? '' : await attempt(more, run, signal);
    return fitted(typeof second === 'string' ? [first] : [first, second], madeFor);
  }
  const why = refusal ?? 'its inputs are too large to be made up';
  throw new InvalidModelError(`model takes no made-up inputs: ${why}`);
}

/** A case, or in words why there is none. */
async function attempt(
  inputs: readonly NamedTensor[],
  run: ModelRun,
  signal: AbortSignal | undefined,
): Promise<GoldenCase | string> {
  try {
    const outputs = await run(inputs, { signal });
    return { inputs, outputs: outputs.map(withTolerance) };
  } catch (error) {
    signal?.throwIfAborted();
    const refused =
      isSwarmError(error) && ['ERR_INVALID_INPUT', 'ERR_EXECUTION'].includes(error.code);
    if (!refused) throw error;
    return error.message;
  }
}

async function checkRepeatable(
  { inputs, outputs }: GoldenCase,
  run: ModelRun,
  signal: AbortSignal | undefined,
): Promise<void> {
  const again = new Map((await run(inputs, { signal })).map(({ name, tensor }) => [name, tensor]));
  for (const { name, tensor } of outputs) {
    const bytes = again.get(name)?.bytes;
    if (bytes !== undefined && Buffer.compare(tensor.bytes, bytes) === 0) continue;
    throw new InvalidModelError(
      `model answers equal inputs with different outputs ${quoted(name)}, expected the same each time`,
    );
  }
}

function fitted(cases: readonly GoldenCase[], madeFor: string): MadeGolden {
  for (let count = cases.length; count > 0; count -= 1) {
    const bytes = formatGoldenFile(cases.slice(0, count), madeFor);
    if (bytes.byteLength <= MAX_GOLDEN_BYTES) return { cases: cases.slice(0, count), bytes };
  }
  throw new LimitError(
    `golden vectors of one made-up request have more than ${MAX_GOLDEN_BYTES} bytes, expected at most that many`,
  );
}

/** Floats get a tolerance of their own scale: a thousandth says nothing of numbers that are all smaller. */
function withTolerance({ name, tensor }: NamedTensor): GoldenOutput {
  if (!tensor.datatype.startsWith('FP')) return { name, tensor };
  return { name, tensor, tolerance: scaledTolerance(tensor) };
}

function scaledTolerance(tensor: Tensor): Tolerance {
  let largest = 0;
  for (const value of tensor.toArray() as number[]) {
    if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value));
  }
  const { absolute, relative } = DEFAULT_TOLERANCE;
  // One digit, so that it reads like a decision; beyond the bound of the file's own field nothing is left to decide.
  const scaled = Math.min(1e6, Number((absolute * largest).toPrecision(1)));
  return { absolute: scaled > 0 ? scaled : absolute, relative };
}
