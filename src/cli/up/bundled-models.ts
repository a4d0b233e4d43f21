import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { InvalidInputError, NotFoundError } from '../../../protocols/errors.ts';
import type { Manifest } from '../../../protocols/manifest/index.ts';
import { describeSchemaIssue } from '../../../protocols/schema-issue.ts';
import type { Tensor } from '../../../protocols/tensor.ts';
import { imageToTensor } from '../../client/image-input.ts';
import { parseInferenceRequest } from '../../client/open-inference.ts';
import { readBoundedFile } from '../bounded-file.ts';
import { packageRoot } from '../package-root.ts';

/** Bytes of one bundled input or held-out set: ours are far below, and a wrong file should be named, not read. */
const MAX_INPUT_BYTES = 16 * 1024 * 1024;

/** A local disk answers at once; one that hangs must not hang the command. */
const READ_TIMEOUT_MS = 30_000;

const inputsSchema = z
  .array(z.strictObject({ name: z.string(), file: z.string(), expected: z.string() }))
  .min(1);

const heldoutSchema = z.strictObject({
  request: z.unknown(),
  expected: z.array(z.string()).min(1),
});

/** A real input that comes with a model, and the answer that is true. */
export interface BundledInput {
  /** What a person would call it: `digit 3, sample 1512`. */
  readonly name: string;
  /** Absolute path of a picture or of a request in the Open Inference Protocol's JSON. */
  readonly file: string;
  readonly expected: string;
}

/** A model that comes with this package. */
export interface BundledModel {
  readonly name: string;
  /** Absolute path of the package directory to publish. */
  readonly folder: string;
  readonly inputs: readonly BundledInput[];
  /** Absolute path of the held-out set; undefined in an installed package, which has none. */
  readonly heldoutFile: string | undefined;
}

/** A whole held-out set as one batched request, and the true answer to each row. */
export interface HeldoutSet {
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly expected: readonly string[];
}

/**
 * The bundled models, by name.
 *
 * @throws {ERR_NOT_FOUND} when there is none. {ERR_INVALID_INPUT} when a list of inputs is malformed; names the file.
 */
export async function findBundledModels(
  folder: string = path.join(packageRoot(), 'examples', 'models'),
): Promise<BundledModel[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const models: BundledModel[] = [];
  for (const name of names.toSorted()) {
    const indexFile = path.join(folder, name, 'inputs', 'index.json');
    if (!(await exists(indexFile))) continue;
    const inputs = parseJson(indexFile, await readInput(indexFile), inputsSchema);
    const heldoutFile = path.join(folder, name, 'heldout.json');
    models.push({
      name,
      folder: path.join(folder, name, 'model'),
      inputs: inputs.map((input) => ({
        ...input,
        file: path.join(path.dirname(indexFile), input.file),
      })),
      heldoutFile: (await exists(heldoutFile)) ? heldoutFile : undefined,
    });
  }
  if (models.length === 0) throw new NotFoundError(`no bundled model is in ${folder}`);
  return models;
}

/**
 * Reads one input as the model takes it.
 *
 * @throws {ERR_INVALID_INPUT} when the file is not what the model takes. {ERR_CONFIG} when pictures cannot be decoded here.
 */
export async function readBundledInput(
  input: BundledInput,
  manifest: Manifest,
): Promise<Readonly<Record<string, Tensor>>> {
  const bytes = await readInput(input.file);
  if (input.file.endsWith('.json')) {
    return parseInferenceRequest(bytes.toString('utf8'), manifest.inputs).inputs;
  }
  const { preprocessing } = manifest;
  if (preprocessing === undefined) {
    throw new InvalidInputError(
      `${input.file} is a picture, but the model's manifest declares no preprocessing`,
    );
  }
  return { [preprocessing.input]: await imageToTensor(bytes, preprocessing) };
}

/**
 * Reads a model's held-out set.
 *
 * @throws {ERR_INVALID_INPUT} when it is malformed.
 */
export async function readHeldoutSet(file: string, manifest: Manifest): Promise<HeldoutSet> {
  const { request, expected } = parseJson(file, await readInput(file), heldoutSchema);
  return {
    inputs: parseInferenceRequest(JSON.stringify(request), manifest.inputs).inputs,
    expected,
  };
}

function parseJson<T>(file: string, bytes: Buffer, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new InvalidInputError(`${file} is not JSON: ${(cause as Error).message}`, { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new InvalidInputError(`${file} ${describeSchemaIssue(parsed.error)}`);
}

async function readInput(file: string): Promise<Buffer> {
  return readBoundedFile(file, {
    what: file,
    maxBytes: MAX_INPUT_BYTES,
    signal: AbortSignal.timeout(READ_TIMEOUT_MS),
  });
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
