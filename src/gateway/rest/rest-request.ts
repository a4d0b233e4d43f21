/**
 * A request to run a model in the Open Inference Protocol's REST form: JSON, the bytes of some tensors after it, or the bytes of
 * one tensor alone.
 *
 * @see https://github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md
 * @see https://github.com/triton-inference-server/server, docs/protocol/extension_binary_data.md
 */

import { isUtf8 } from 'node:buffer';
import { elementBytes } from '../../../protocols/datatype.ts';
import { joinElements } from '../../../protocols/element-encoder.ts';
import { InvalidInputError, isSwarmError } from '../../../protocols/errors.ts';
import { parseExactJson } from '../../../protocols/exact-json.ts';
import { parseElements } from '../../../protocols/json-elements.ts';
import type { Tensor } from '../../../protocols/tensor.ts';
import {
  asArray,
  asObject,
  type JsonObject,
  parseName,
  parseText,
  wrongField,
} from '../../client/json-field.ts';
import { parseTensorHead, type UnreadTensor } from '../../client/open-inference.ts';
import type { InferRequest, WantedOutput } from '../infer-request.ts';
import { parseClasses, parseSchedule, refuseUnsupported } from '../infer-request.ts';
import {
  bf16Fault,
  binaryTensor,
  checkGivenInputs,
  checkWantedOutputs,
  type ExpectedTensors,
  refuseInJson,
} from '../input-validation.ts';
import { shown } from '../models/shown-name.ts';

/** Levels of arrays and objects in the JSON; a tensor has at most 32 dimensions, and stands three levels deep. */
export const MAX_JSON_DEPTH = 100;

interface JsonInput extends UnreadTensor {
  /** Bytes after the JSON; undefined when `data` has the elements. */
  readonly binaryBytes: number | undefined;
}

/**
 * Reads a request against the tensors that the model has.
 *
 * @param headerLength the value of `Inference-Header-Content-Length`: bytes of the JSON; 0 when the whole body is one tensor
 * @throws {ERR_INVALID_INPUT} naming what is wrong, what was expected and what was found.
 */
export function parseRestRequest(
  body: Uint8Array,
  headerLength: string | undefined,
  expected: ExpectedTensors,
): InferRequest {
  const jsonBytes = headerLength === undefined ? body.byteLength : parseLength(headerLength, body);
  if (headerLength !== undefined && jsonBytes === 0) return parseRawRequest(body, expected);
  const request = asObject(parseJson(body.subarray(0, jsonBytes)), 'request');
  const given = asArray(request['inputs'], 'inputs').map((input, index) =>
    parseInput(input, `inputs[${index}]`),
  );
  checkGivenInputs(expected, given);
  const inputs = readInputs(expected.model, given, body.subarray(jsonBytes));
  const parameters = parametersOf(request, 'parameters');
  const binaryOutputs = booleanParameter(parameters, 'binary_data_output', 'parameters') ?? false;
  const outputs = parseOutputs(request['outputs'], binaryOutputs);
  checkWantedOutputs(
    expected,
    outputs.map(({ name }) => name),
  );
  return {
    // An empty id is how some clients say that they have none.
    id: parseText(request['id'], 'id') || undefined,
    inputs,
    outputs,
    binaryOutputs,
    schedule: parseSchedule(parameters),
  };
}

/**
 * Parses a body of JSON.
 *
 * @throws {ERR_INVALID_INPUT} when it is none or not UTF-8, or nested deeper than {@link MAX_JSON_DEPTH}.
 */
export function parseJson(bytes: Uint8Array): unknown {
  // Decoding would put U+FFFD for what is none, and the model would run on other text than was sent.
  if (!isUtf8(bytes)) throw new InvalidInputError('not JSON: expected UTF-8, found other bytes');
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  checkDepth(text);
  try {
    return parseExactJson(text);
  } catch (cause) {
    if (!isSwarmError(cause) || !/\b(?:NaN|Infinity)\b/.test(text)) throw cause;
    throw new InvalidInputError(
      `${cause.message}; NaN and infinities are "NaN", "Infinity" and "-Infinity" in JSON, or binary tensor data`,
      { cause },
    );
  }
}

/** Before the parser, which goes as deep as its stack: brackets outside of strings. */
function checkDepth(text: string): void {
  let depth = 0;
  let quoted = false;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (quoted) {
      if (code === 0x5c) index += 1;
      else if (code === 0x22) quoted = false;
    } else if (code === 0x22) quoted = true;
    else if (code === 0x5b || code === 0x7b) {
      depth += 1;
      if (depth > MAX_JSON_DEPTH) {
        throw new InvalidInputError(
          `JSON nesting depth exceeds maximum allowed limit (${MAX_JSON_DEPTH})`,
        );
      }
    } else if (code === 0x5d || code === 0x7d) depth -= 1;
  }
}

function parseLength(text: string, body: Uint8Array): number {
  const length = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (length <= body.byteLength) return length;
  throw new InvalidInputError(
    `Inference-Header-Content-Length is ${JSON.stringify(text.slice(0, 40))}, expected an integer from 0 to ${body.byteLength}, the bytes of the body`,
  );
}

/** The whole body is the one input of a batch of one; its free dimension, if any, is what the bytes leave. */
function parseRawRequest(body: Uint8Array, { model, inputs }: ExpectedTensors): InferRequest {
  const [spec] = inputs;
  if (spec === undefined || inputs.length > 1) {
    throw new InvalidInputError(
      `Raw request must only have 1 input (found 1) to be deduced but got ${inputs.length} inputs in ${shown(model)} model configuration`,
    );
  }
  const { name, datatype, shape: declared } = spec;
  const isFree = (size: unknown): boolean => typeof size !== 'number';
  // The first free dimension of several is the batch, of which a raw request is one row.
  const batched = declared.length > 1 && isFree(declared[0]) && declared.slice(1).some(isFree);
  const shape = declared.map((size, axis) => (batched && axis === 0 ? 1 : size));
  const free = shape.filter(isFree).length;
  if (free > 1) {
    throw new InvalidInputError(
      `The shape of the raw input ${shown(name)} can not be deduced because there are more than one variable-sized dimension`,
    );
  }
  const bytes = datatype === 'BYTES' ? joinElements([body]) : body;
  const fixed = shape.reduce<number>((all, size) => (isFree(size) ? all : all * Number(size)), 1);
  const elements = datatype === 'BYTES' ? 1 : body.byteLength / (elementBytes(datatype) ?? 1);
  if (datatype === 'BYTES' && fixed !== 1) {
    throw new InvalidInputError(
      `For BYTE datatype raw input ${shown(name)}, the model must have input shape [1]`,
    );
  }
  const rest = fixed === 0 ? 0 : Math.floor(elements / fixed);
  const concrete = shape.map((size) => (isFree(size) ? rest : Number(size)));
  return {
    id: undefined,
    inputs: { [name]: binaryTensor(model, { name, datatype, shape: concrete }, bytes) },
    outputs: [],
    binaryOutputs: true,
    schedule: { priority: 0, timeoutMs: undefined },
  };
}

/** The bytes after the JSON are those of the binary inputs, in their order. */
function readInputs(
  model: string,
  given: readonly JsonInput[],
  tail: Uint8Array,
): Record<string, Tensor> {
  const inputs = Object.create(null) as Record<string, Tensor>;
  let offset = 0;
  for (const input of given) {
    const { name, datatype, shape, data, binaryBytes, path } = input;
    if (binaryBytes === undefined) {
      refuseInJson(datatype, 'input', name);
      inputs[name] = parseElements(datatype, shape, data, `${path}.data`);
      continue;
    }
    if (data !== undefined) {
      throw new InvalidInputError(`${path} has both "data" and "binary_data_size", expected one`);
    }
    const bytes = tail.subarray(offset, offset + binaryBytes);
    if (bytes.byteLength < binaryBytes) {
      throw new InvalidInputError(
        `unexpected size for input ${shown(name)}, expecting ${binaryBytes - bytes.byteLength} additional bytes for model ${shown(model)}`,
      );
    }
    inputs[name] = binaryTensor(model, input, bytes);
    offset += binaryBytes;
  }
  if (offset === tail.byteLength) return inputs;
  throw new InvalidInputError(
    `unexpected additional input data for model ${shown(model)}: ${tail.byteLength - offset} bytes after those of the inputs`,
  );
}

function parseInput(value: unknown, path: string): JsonInput {
  const input = asObject(value, path);
  const parameters = parametersOf(input, `${path}.parameters`);
  refuseUnsupported(parameters);
  if (input['datatype'] === 'BF16') throw bf16Fault(parseName(input['name'], `${path}.name`));
  return { ...parseTensorHead(input, path), binaryBytes: parseBinarySize(parameters, path) };
}

function parseBinarySize(parameters: JsonObject, path: string): number | undefined {
  const size = parameters['binary_data_size'];
  if (size === undefined) return undefined;
  if (typeof size === 'number' && Number.isSafeInteger(size) && size >= 0) return size;
  throw wrongField(`${path}.parameters.binary_data_size`, 'an integer from 0', size);
}

function parseOutputs(value: unknown, binaryOutputs: boolean): readonly WantedOutput[] {
  if (value === undefined) return [];
  return asArray(value, 'outputs').map((item, index) => {
    const path = `outputs[${index}]`;
    const output = asObject(item, path);
    const parameters = parametersOf(output, `${path}.parameters`);
    refuseUnsupported(parameters);
    return {
      name: parseName(output['name'], `${path}.name`),
      binary: booleanParameter(parameters, 'binary_data', `${path}.parameters`) ?? binaryOutputs,
      classes: parseClasses(parameters),
    };
  });
}

function parametersOf(owner: JsonObject, path: string): JsonObject {
  return owner['parameters'] === undefined ? {} : asObject(owner['parameters'], path);
}

function booleanParameter(parameters: JsonObject, name: string, path: string): boolean | undefined {
  const value = parameters[name];
  if (value === undefined || typeof value === 'boolean') return value;
  throw wrongField(`${path}.${name}`, 'true or false', value);
}
