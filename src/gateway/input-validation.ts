/**
 * Whether a request's tensors are the model's, in the words that users of Triton know and that its tests assert.
 *
 * @see https://github.com/triton-inference-server/server, qa/L0_input_validation
 */

import { DATATYPES, type Datatype, elementBytes } from '../../protocols/datatype.ts';
import { InvalidInputError } from '../../protocols/errors.ts';
import type { GivenInput } from '../../protocols/input-check.ts';
import { elementCount, Tensor } from '../../protocols/tensor.ts';
import type { TensorSpec } from '../../protocols/types.ts';
import { shown } from './models/shown-name.ts';

/** Names of tensors that a message shows. */
const MAX_SHOWN_NAMES = 20;

/** A model's tensors, under the name by which the caller knows it. */
export interface ExpectedTensors {
  readonly model: string;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

/** @throws {ERR_INVALID_INPUT} for the first input that is missing, unknown, given twice or of another datatype or shape. */
export function checkGivenInputs(expected: ExpectedTensors, given: readonly GivenInput[]): void {
  const { model, inputs } = expected;
  const names = new Set<string>();
  for (const { name } of given) {
    if (names.has(name)) throw fault(`input ${shown(name)} already exists in request`);
    names.add(name);
  }
  if (given.length !== inputs.length) {
    const got = list(given.map(({ name }) => name));
    const missing = list(inputs.map(({ name }) => name).filter((name) => !names.has(name)));
    throw fault(
      `expected ${inputs.length} inputs but got ${given.length} inputs for model ${shown(model)}. Got input(s) ${got}, but missing required input(s) ${missing}. Please provide all required input(s).`,
    );
  }
  const specs = new Map(inputs.map((spec) => [spec.name, spec]));
  for (const input of given) checkInput(model, specs.get(input.name), input);
}

/** @throws {ERR_INVALID_INPUT} for an output that the model has not, or that is asked for twice. */
export function checkWantedOutputs(expected: ExpectedTensors, names: readonly string[]): void {
  if (names.length === 0) return;
  const known = new Set(expected.outputs.map(({ name }) => name));
  const seen = new Set<string>();
  for (const name of names) {
    if (!known.has(name)) {
      throw fault(`unexpected inference output ${shown(name)} for model ${shown(expected.model)}`);
    }
    if (seen.has(name))
      throw fault(`Duplicate output name ${shown(name)} is not allowed in a request`);
    seen.add(name);
  }
}

/**
 * Bytes in binary form as the tensor they are for.
 *
 * @throws {ERR_INVALID_INPUT} when they do not fill its shape.
 */
export function binaryTensor(
  model: string,
  { name, datatype, shape }: GivenInput,
  bytes: Uint8Array,
): Tensor {
  const size = elementBytes(datatype);
  if (size !== null && elementCount(shape) * size !== bytes.byteLength) {
    throw fault(
      `input byte size mismatch for input ${shown(name)} for model ${shown(model)}. Expected ${elementCount(shape) * size}, got ${bytes.byteLength}`,
    );
  }
  if (datatype === 'BOOL') checkBooleans(name, bytes);
  try {
    return new Tensor(datatype, shape, bytes);
  } catch (cause) {
    if (!(cause instanceof InvalidInputError)) throw cause;
    throw fault(`input ${shown(name)} for model ${shown(model)}: ${cause.message}`);
  }
}

/** BF16 is a datatype of the protocol and none of ONNX Runtime for Node, which publishes no model that has it: so no request fits. */
export function bf16Fault(name: string): InvalidInputError {
  return fault(
    `input ${shown(name)} is BF16, which no node runs: expected one of ${DATATYPES.join(', ')}`,
  );
}

/** FP16 has no form in JSON that all clients read alike. */
export function refuseInJson(datatype: Datatype, what: string, name: string): void {
  if (datatype !== 'FP16') return;
  throw fault(
    `${what} ${shown(name)} is FP16, which JSON does not carry: use the binary tensor data extension`,
  );
}

function checkInput(model: string, spec: TensorSpec | undefined, input: GivenInput): void {
  const { name, datatype, shape } = input;
  if (spec === undefined) {
    throw fault(`unexpected inference input ${shown(name)} for model ${shown(model)}`);
  }
  if (datatype !== spec.datatype) {
    throw fault(
      `inference input ${shown(name)} data-type is '${datatype}', but model ${shown(model)} expects '${spec.datatype}'`,
    );
  }
  const fits =
    shape.length === spec.shape.length &&
    spec.shape.every((size, axis) => typeof size !== 'number' || size === shape[axis]);
  if (fits) return;
  const wanted = spec.shape.map((size) => (typeof size === 'number' ? size : -1));
  throw fault(
    `unexpected shape for input ${shown(name)} for model ${shown(model)}. Expected [${wanted.join(',')}], got [${shape.join(',')}]`,
  );
}

/** A byte that is neither would be a third truth value to the model. */
function checkBooleans(name: string, bytes: Uint8Array): void {
  const index = bytes.findIndex((byte) => byte > 1);
  if (index < 0) return;
  throw fault(`input ${shown(name)} is BOOL, expected bytes 0 or 1, found ${bytes[index]}`);
}

function list(names: readonly string[]): string {
  const more = names.length > MAX_SHOWN_NAMES ? [`'… ${names.length - MAX_SHOWN_NAMES} more'`] : [];
  const named = names.slice(0, MAX_SHOWN_NAMES).map(shown);
  return `[${[...named, ...more].join(',')}]`;
}

function fault(message: string): InvalidInputError {
  return new InvalidInputError(message);
}
