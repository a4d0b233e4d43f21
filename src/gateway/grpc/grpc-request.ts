import { DATATYPES, type Datatype, isDatatype } from '../../../protocols/datatype.ts';
import { joinElements } from '../../../protocols/element-encoder.ts';
import { InvalidInputError, isSwarmError } from '../../../protocols/errors.ts';
import type { GivenInput } from '../../../protocols/input-check.ts';
import { MAX_NAME_BYTES, MAX_TENSORS } from '../../../protocols/limits.ts';
import { describeValue } from '../../../protocols/nested-array.ts';
import { elementCount, Tensor, type TensorData } from '../../../protocols/tensor.ts';
import type { InferRequest, WantedOutput } from '../infer-request.ts';
import { parseClasses, parseSchedule, refuseUnsupported } from '../infer-request.ts';
import type { Answer } from '../inference-service.ts';
import {
  bf16Fault,
  binaryTensor,
  checkGivenInputs,
  checkWantedOutputs,
  type ExpectedTensors,
} from '../input-validation.ts';
import { shown } from '../models/shown-name.ts';
import type {
  GrpcInferRequest,
  GrpcInferResponse,
  GrpcInputTensor,
  GrpcParameter,
  GrpcParameters,
  GrpcTensorContents,
} from './grpc-messages.ts';

/** The field of typed contents that holds a datatype's elements; FP16 has none. */
const CONTENTS: Readonly<Record<Exclude<Datatype, 'FP16'>, keyof GrpcTensorContents>> = {
  BOOL: 'bool_contents',
  UINT8: 'uint_contents',
  UINT16: 'uint_contents',
  UINT32: 'uint_contents',
  UINT64: 'uint64_contents',
  INT8: 'int_contents',
  INT16: 'int_contents',
  INT32: 'int_contents',
  INT64: 'int64_contents',
  FP32: 'fp32_contents',
  FP64: 'fp64_contents',
  BYTES: 'bytes_contents',
};

/**
 * Reads a request against the tensors that the model has. Tensors come all as raw bytes, in the order of the inputs, or all as typed
 * contents.
 *
 * @throws {ERR_INVALID_INPUT} saying what is wrong, what was expected and what was found.
 */
export function parseGrpcRequest(
  request: GrpcInferRequest,
  expected: ExpectedTensors,
): InferRequest {
  const { inputs: tensors, raw_input_contents: raw } = request;
  checkCounts(request, expected.model);
  const given = tensors.map(parseInput);
  checkGivenInputs(expected, given);
  const inputs = Object.create(null) as Record<string, Tensor>;
  for (const [index, input] of given.entries()) {
    const bytes = raw[index];
    const { contents = null } = tensors[index] ?? {};
    inputs[input.name] =
      bytes === undefined
        ? typedTensor(input, contents)
        : binaryTensor(expected.model, input, bytes);
  }
  const outputs = request.outputs.map(parseOutput);
  checkWantedOutputs(
    expected,
    outputs.map(({ name }) => name),
  );
  return {
    id: request.id === '' ? undefined : request.id,
    inputs,
    outputs,
    binaryOutputs: true,
    schedule: parseSchedule(parametersOf(request.parameters)),
  };
}

/** Writes an answer, its tensors as raw bytes: the one form that all clients read. */
export function formatGrpcResponse({ model, id, outputs, parameters }: Answer): GrpcInferResponse {
  return {
    model_name: model.asked,
    model_version: model.version,
    id: id ?? '',
    parameters: Object.fromEntries(
      Object.entries(parameters).map(([name, value]) => [name, toParameter(value)]),
    ),
    outputs: outputs.map(({ name, tensor: { datatype, shape } }) => ({ name, datatype, shape })),
    raw_output_contents: outputs.map(({ tensor }) => tensor.bytes),
  };
}

/** Parameters as plain values: 64-bit integers are numbers where those are exact, else bigints. */
export function parametersOf(parameters: GrpcParameters): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, parameter]) => [name, valueOf(parameter)]),
  );
}

function valueOf(parameter: GrpcParameter): unknown {
  switch (parameter.parameter_choice) {
    case 'bool_param':
      return parameter.bool_param;
    case 'string_param':
      return parameter.string_param;
    case 'double_param':
      return parameter.double_param;
    case 'int64_param':
      return toInteger(parameter.int64_param);
    case 'uint64_param':
      return toInteger(parameter.uint64_param);
    default:
      return undefined;
  }
}

function toParameter(value: string | number | boolean): GrpcParameter {
  if (typeof value === 'string') return { string_param: value };
  return typeof value === 'boolean' ? { bool_param: value } : { double_param: value };
}

function toInteger(text = '0'): number | bigint {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
}

/** In Triton's words, which one of its clients' examples looks for. */
function checkCounts(
  { inputs, outputs, raw_input_contents: raw }: GrpcInferRequest,
  model: string,
): void {
  if (inputs.length > MAX_TENSORS || outputs.length > MAX_TENSORS) {
    throw new InvalidInputError(
      `request has ${inputs.length} inputs and wants ${outputs.length} outputs, expected at most ${MAX_TENSORS}`,
    );
  }
  if (raw.length === 0) return;
  const both = inputs.find(({ contents }) => contents !== null);
  if (both !== undefined) {
    throw new InvalidInputError(
      `contents field must not be specified when using raw_input_contents for ${shown(both.name)} for model ${shown(model)}`,
    );
  }
  if (raw.length !== inputs.length) {
    throw new InvalidInputError(
      `expected tensor data for ${inputs.length} inputs but got ${raw.length} sets of data for model ${shown(model)}. One or more inputs may be missing from the request.`,
    );
  }
}

function parseInput({ name, datatype, shape, parameters }: GrpcInputTensor): GivenInput {
  refuseUnsupported(parametersOf(parameters));
  if (name === '' || Buffer.byteLength(name) > MAX_NAME_BYTES) {
    throw new InvalidInputError(
      `an input's name has ${Buffer.byteLength(name)} bytes, expected 1 to ${MAX_NAME_BYTES}`,
    );
  }
  if (!isDatatype(datatype)) {
    if (datatype === 'BF16') throw bf16Fault(name);
    throw new InvalidInputError(
      `input ${shown(name)} has datatype ${describeValue(datatype)}, expected one of ${DATATYPES.join(', ')}`,
    );
  }
  const sizes = shape.map(Number);
  elementCount(sizes);
  return { name, datatype, shape: sizes };
}

function parseOutput({ name, parameters }: GrpcInferRequest['outputs'][number]): WantedOutput {
  const values = parametersOf(parameters);
  refuseUnsupported(values);
  return { name, binary: true, classes: parseClasses(values) };
}

function typedTensor(
  { name, datatype, shape }: GivenInput,
  contents: GrpcTensorContents | null,
): Tensor {
  if (datatype === 'FP16') {
    throw new InvalidInputError(
      `input ${shown(name)} is FP16, expected its bytes in raw_input_contents`,
    );
  }
  const field = CONTENTS[datatype];
  const filled = Object.entries(contents ?? {}).find(
    ([other, values]) => other !== field && Array.isArray(values) && values.length > 0,
  );
  if (filled !== undefined) {
    throw new InvalidInputError(
      `input ${shown(name)} is ${datatype}, expected its elements in ${field}, found ${filled[0]}`,
    );
  }
  const values = contents?.[field] ?? [];
  try {
    // They need not be text.
    if (field === 'bytes_contents') {
      return new Tensor(datatype, shape, joinElements(values as readonly Uint8Array[]));
    }
    const wide = datatype === 'INT64' || datatype === 'UINT64';
    const data = wide ? (values as readonly string[]).map(BigInt) : values;
    return Tensor.from(datatype, shape, data as TensorData);
  } catch (cause) {
    if (!isSwarmError(cause)) throw cause;
    throw new InvalidInputError(`input ${shown(name)}: ${cause.message}`, { cause });
  }
}
