/**
 * Golden vectors: inputs of a model with the outputs that are right for them, as a file of the version. Each node runs them
 * before it serves.
 */

import { z } from 'zod';
import { DATATYPES, type Datatype } from '../../protocols/datatype.ts';
import { InvalidModelError, isSwarmError } from '../../protocols/errors.ts';
import { parseExactJson } from '../../protocols/exact-json.ts';
import { checkInputs } from '../../protocols/input-check.ts';
import { formatElements, parseElements } from '../../protocols/json-elements.ts';
import { MAX_NAME_BYTES, MAX_RANK, MAX_TENSORS } from '../../protocols/limits.ts';
import {
  DEFAULT_TOLERANCE,
  MAX_GOLDEN_BYTES,
  strictToleranceSchema,
  type Tolerance,
} from '../../protocols/manifest/index.ts';
import { quoted } from '../../protocols/quoted.ts';
import { listSchemaIssues } from '../../protocols/schema-issue.ts';
import type { NamedTensor } from '../../protocols/tensor.ts';
import type { ModelInterface } from './model-scan.ts';
import { fieldFault, type ReportFault, throwFault } from './package-fault.ts';

/** Cases of one version. */
export const MAX_GOLDEN_CASES = 64;

/** An output that is right, and how far another may be from it. */
export interface GoldenOutput extends NamedTensor {
  /** Undefined takes the case's, the version's, or the default, in this order. */
  readonly tolerance?: Tolerance | undefined;
}

/** One request and the right answer to it. */
export interface GoldenCase {
  readonly inputs: readonly NamedTensor[];
  /** At least one; outputs of the model that are not here are not compared. */
  readonly outputs: readonly GoldenOutput[];
  readonly tolerance?: Tolerance | undefined;
}

export interface GoldenFileOptions {
  /** What errors call the file. */
  readonly fileName: string;
  readonly model: Pick<ModelInterface, 'inputs' | 'outputs'>;
  /** Hears of each fault; cases that have one are left out then. */
  readonly report?: ReportFault | undefined;
}

const tensorShape = {
  name: z.string().min(1).max(MAX_NAME_BYTES),
  datatype: z.enum(DATATYPES),
  shape: z.array(z.int().min(0)).max(MAX_RANK),
  data: z.unknown(),
};

const goldenFileSchema = z.strictObject({
  madeFor: z.string().max(64).optional(),
  cases: z
    .array(
      z.strictObject({
        inputs: z.array(z.strictObject(tensorShape)).max(MAX_TENSORS),
        outputs: z
          .array(z.strictObject({ ...tensorShape, tolerance: strictToleranceSchema.optional() }))
          .min(1)
          .max(MAX_TENSORS),
        tolerance: strictToleranceSchema.optional(),
      }),
    )
    .min(1)
    .max(MAX_GOLDEN_CASES),
});

type WrittenCase = z.infer<typeof goldenFileSchema>['cases'][number];

/**
 * Reads a file of golden vectors, a case at a time: `{"cases": [{"inputs": [{name, datatype, shape, data}], "outputs": […],
 * "tolerance"?}]}`, tensors as in the Open Inference Protocol's JSON.
 *
 * @throws {ERR_INVALID_MODEL} that names the file and the field: too large, no such file, or vectors that are not for the model.
 */
export function* readGoldenFile(
  bytes: Uint8Array,
  { fileName, model, report = throwFault }: GoldenFileOptions,
): Generator<GoldenCase> {
  const fault = (field: string, what: string, options?: ErrorOptions): void =>
    report(fieldFault(fileName, field, what, options));
  if (bytes.byteLength > MAX_GOLDEN_BYTES) {
    fault('', `has ${bytes.byteLength} bytes, expected at most ${MAX_GOLDEN_BYTES}`);
    return;
  }
  let value: unknown;
  try {
    value = parseExactJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    fault('', `is ${(cause as Error).message.replace(/\s+/gu, ' ')}`, { cause });
    return;
  }
  const parsed = goldenFileSchema.safeParse(value);
  for (const { field, message } of parsed.error === undefined
    ? []
    : listSchemaIssues(parsed.error)) {
    fault(field, message);
  }
  for (const [index, written] of (parsed.data?.cases ?? []).entries()) {
    try {
      yield readCase(written, model);
    } catch (cause) {
      if (!isSwarmError(cause)) throw cause;
      // What `data` is wrong about says in its message which tensor's it is.
      fault(`cases[${index}]`, cause.message, { cause });
    }
  }
}

/** The tolerance of a case for one of its outputs. */
export function toleranceOf(
  { outputs, tolerance }: GoldenCase,
  output: string,
  versionTolerance: Tolerance | undefined,
): Tolerance {
  const own = outputs.find(({ name }) => name === output)?.tolerance;
  return own ?? tolerance ?? versionTolerance ?? DEFAULT_TOLERANCE;
}

/**
 * The digest of the model that a file of golden vectors was made for; undefined when it was given, or is no such file.
 *
 * @see digestModel
 */
export function goldenMadeFor(bytes: Uint8Array): string | undefined {
  if (bytes.byteLength > MAX_GOLDEN_BYTES) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    const { madeFor } = (value ?? {}) as { readonly madeFor?: unknown };
    return typeof madeFor === 'string' ? madeFor : undefined;
  } catch {
    // Whoever reads the vectors says what is wrong with the file.
    return undefined;
  }
}

/**
 * Writes a file of golden vectors; equal cases give equal bytes.
 *
 * @param madeFor digest of the model they were made for; undefined for vectors that somebody gave
 * @throws {ERR_INVALID_INPUT} when text is not UTF-8.
 */
export function formatGoldenFile(cases: readonly GoldenCase[], madeFor?: string): Uint8Array {
  const head = madeFor === undefined ? '' : `  "madeFor": ${JSON.stringify(madeFor)},\n`;
  const text = cases.map(({ inputs, outputs, tolerance }) => {
    const own = tolerance === undefined ? '' : `,\n      "tolerance": ${JSON.stringify(tolerance)}`;
    return `    {\n      "inputs": ${formatTensors(inputs)},\n      "outputs": ${formatTensors(outputs)}${own}\n    }`;
  });
  return Buffer.from(`{\n${head}  "cases": [\n${text.join(',\n')}\n  ]\n}\n`);
}

function formatTensors(tensors: readonly GoldenOutput[]): string {
  if (tensors.length === 0) return '[]';
  const lines = tensors.map(({ name, tensor, tolerance }) => {
    const { datatype, shape } = tensor;
    const head = JSON.stringify({ name, datatype, shape, tolerance });
    return `        ${head.slice(0, -1)},"data":[${formatElements(name, tensor).join(',')}]}`;
  });
  return `[\n${lines.join(',\n')}\n      ]`;
}

function readCase(
  { inputs, outputs, tolerance }: WrittenCase,
  model: GoldenFileOptions['model'],
): GoldenCase {
  checkInputs(model.inputs, inputs);
  checkOutputs(outputs, model);
  return {
    inputs: inputs.map((tensor, index) => readTensor(tensor, `inputs[${index}]`)),
    outputs: outputs.map((tensor, index) => ({
      ...readTensor(tensor, `outputs[${index}]`),
      tolerance: tensor.tolerance,
    })),
    tolerance,
  };
}

function readTensor(
  { name, datatype, shape, data }: WrittenCase['inputs'][number],
  path: string,
): NamedTensor {
  return { name, tensor: parseElements(datatype, shape, data, `${path}.data`) };
}

/** Shapes are not checked: what a model declares of its outputs is often not what it gives. */
function checkOutputs(
  outputs: readonly { readonly name: string; readonly datatype: Datatype }[],
  model: GoldenFileOptions['model'],
): void {
  const seen = new Set<string>();
  for (const { name, datatype } of outputs) {
    const spec = model.outputs.find((output) => output.name === name);
    if (spec === undefined) {
      throw new InvalidModelError(`${quoted(name)} is not an output of the model`);
    }
    if (seen.has(name)) throw new InvalidModelError(`output ${quoted(name)} is given twice`);
    seen.add(name);
    if (datatype !== spec.datatype) {
      throw new InvalidModelError(
        `output ${quoted(name)} has datatype ${datatype}, expected ${spec.datatype}`,
      );
    }
  }
}
