import { InvalidInputError, isSwarmError } from '../../protocols/errors.ts';
import type { Manifest } from '../../protocols/manifest/index.ts';
import { describeValue } from '../../protocols/nested-array.ts';
import { quoted } from '../../protocols/quoted.ts';
import { type NamedTensor, Tensor } from '../../protocols/tensor.ts';
import { joinRows } from '../../protocols/tensor-rows.ts';
import type { TensorSpec, VersionCid } from '../../protocols/types.ts';
import { type PlainInput, plainTensor } from './plain-input.ts';

/** Names shown when one is not known. */
const MAX_SHOWN_NAMES = 20;

/** Inputs of one request by the model's names for them. Tensors are sent as they are, plain values made tensors by the manifest. */
export type InferInputs = Readonly<Record<string, Tensor | PlainInput>>;

/** Gets the manifest of the version that a call goes to. */
export type ReadManifest = (cid: VersionCid, signal: AbortSignal) => Promise<Manifest>;

/** What a call is made with, until it is known which version it goes to. */
export interface CallInputs {
  /** The tensors, where they are known without the manifest. */
  readonly tensors: readonly NamedTensor[] | undefined;
  /**
   * The tensors as the version takes them.
   *
   * @throws {ERR_INVALID_INPUT} naming the input that does not fit, what was expected and what was found.
   */
  resolve(cid: VersionCid, signal: AbortSignal): Promise<readonly NamedTensor[]>;
}

/** The inputs of one request. The manifest is read only where a plain value is among them. */
export class SingleInputs implements CallInputs {
  readonly tensors: readonly NamedTensor[] | undefined;
  readonly #given: InferInputs;
  readonly #readManifest: ReadManifest;

  constructor(given: InferInputs, readManifest: ReadManifest) {
    if (
      typeof given !== 'object' ||
      given === null ||
      Array.isArray(given) ||
      given instanceof Tensor
    ) {
      throw new InvalidInputError(
        `expected inputs as an object of them by name, found ${given instanceof Tensor ? 'a tensor' : describeValue(given)}`,
      );
    }
    this.#given = given;
    this.#readManifest = readManifest;
    this.tensors = namedTensors(given);
  }

  async resolve(cid: VersionCid, signal: AbortSignal): Promise<readonly NamedTensor[]> {
    if (this.tensors !== undefined) return this.tensors;
    const { inputs } = await this.#readManifest(cid, signal);
    return Object.entries(this.#given).map(([name, value]) => {
      const tensor = value instanceof Tensor ? value : plainTensor(specOf(inputs, name), value);
      return { name, tensor };
    });
  }
}

/** The inputs of several requests, sent as one: their rows are joined, input by input. */
export class JoinedInputs implements CallInputs {
  readonly tensors = undefined;
  /** Rows of each request, once {@link resolve} has joined them. */
  rows: readonly number[] = [];
  readonly #requests: readonly SingleInputs[];

  constructor(requests: readonly InferInputs[], readManifest: ReadManifest) {
    if (!Array.isArray(requests)) {
      throw new InvalidInputError(
        `expected a batch as an array of requests, found ${describeValue(requests)}`,
      );
    }
    if (requests.length === 0) {
      throw new InvalidInputError('expected at least one request in a batch, found none');
    }
    this.#requests = requests.map((given) => new SingleInputs(given, readManifest));
  }

  async resolve(cid: VersionCid, signal: AbortSignal): Promise<readonly NamedTensor[]> {
    const requests: (readonly NamedTensor[])[] = [];
    for (const request of this.#requests) requests.push(await request.resolve(cid, signal));
    this.rows = requests.map(rowsOf);
    const [first = []] = requests;
    return first.map(({ name }) => joinInput(name, requests, first.length));
  }
}

/** Undefined when a plain value is among them. */
function namedTensors(given: InferInputs): readonly NamedTensor[] | undefined {
  const named: NamedTensor[] = [];
  for (const [name, tensor] of Object.entries(given)) {
    if (!(tensor instanceof Tensor)) return undefined;
    named.push({ name, tensor });
  }
  return named;
}

function specOf(specs: readonly TensorSpec[], name: string): TensorSpec {
  const spec = specs.find((declared) => declared.name === name);
  if (spec !== undefined) return spec;
  const known = specs.slice(0, MAX_SHOWN_NAMES).map((declared) => quoted(declared.name));
  throw new InvalidInputError(
    `unknown input ${quoted(name)}, the model has ${known.length === 0 ? 'none' : known.join(', ')}`,
  );
}

function joinInput(
  name: string,
  requests: readonly (readonly NamedTensor[])[],
  inputs: number,
): NamedTensor {
  const tensors = requests.map((request, index) => {
    const named = request.find((input) => input.name === name);
    if (named !== undefined && request.length === inputs) return named.tensor;
    throw new InvalidInputError(
      `request ${index} of the batch has other inputs than the first, expected the same ${inputs}`,
    );
  });
  try {
    return { name, tensor: joinRows(tensors) };
  } catch (cause) {
    if (!isSwarmError(cause)) throw cause;
    throw new InvalidInputError(`input ${quoted(name)} of the batch: ${cause.message}`, { cause });
  }
}

/** The first dimension, which all inputs of a request share. */
function rowsOf(request: readonly NamedTensor[], index: number): number {
  const [first] = request;
  const rows = first?.tensor.shape[0];
  for (const { name, tensor } of request) {
    if (rows !== undefined && tensor.shape[0] === rows) continue;
    throw new InvalidInputError(
      `input ${quoted(name)} of request ${index} has ${tensor.shape[0] ?? 'no'} rows, expected ${rows ?? 'at least one dimension'}, as its first input has`,
    );
  }
  if (rows !== undefined) return rows;
  throw new InvalidInputError(`request ${index} of the batch has no inputs`);
}
