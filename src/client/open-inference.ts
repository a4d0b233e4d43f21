/**
 * Requests and responses of the Open Inference Protocol's JSON form, as tensors.
 *
 * What plain JSON has no word for: NaN and the infinities are the strings "NaN", "Infinity" and "-Infinity", in both
 * directions, because a bare NaN is no JSON and null is no float. FP16 travels as numbers. BYTES elements are strings, so
 * they must be UTF-8.
 *
 * @see https://github.com/kserve/open-inference-protocol, "Inference Request JSON Object", "Inference Response JSON Object"
 */

import { DATATYPES, isDatatype } from '../../protocols/datatype.ts';
import { InvalidInputError } from '../../protocols/errors.ts';
import { parseExactJson } from '../../protocols/exact-json.ts';
import { checkInputs, type GivenInput } from '../../protocols/input-check.ts';
import { formatElements, parseElements } from '../../protocols/json-elements.ts';
import { describeValue } from '../../protocols/nested-array.ts';
import type { Tensor } from '../../protocols/tensor.ts';
import type { TensorSpec } from '../../protocols/types.ts';
import {
  asArray,
  asObject,
  type JsonObject,
  parseName,
  parseShape,
  parseText,
  wrongField,
} from './json-field.ts';

/** Parameters that would change what is read or answered, and that this form does not carry. */
const REFUSED_PARAMETERS: Readonly<Record<string, string>> = {
  binary_data: 'outputs are JSON only',
  binary_data_output: 'outputs are JSON only',
  binary_data_size: 'tensor data is read from "data" only',
  classification: 'outputs are whole tensors only',
  shared_memory_region: 'client and node share no memory',
  sequence_id: 'requests are independent of each other',
};

/** What a request's JSON asks for. */
export interface ParsedInferenceRequest {
  /** The caller's own id, to be echoed; undefined when it gave none. */
  readonly id: string | undefined;
  /** By name, in the order given; without a prototype, so that any name is safe. */
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** Names of the outputs wanted; empty for all. */
  readonly outputs: readonly string[];
}

/** What a response's JSON says. */
export interface InferenceResponseFields {
  readonly modelName: string;
  readonly modelVersion: string;
  /** Echo of the request's; undefined leaves the field out. */
  readonly id?: string | undefined;
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** Finite numbers, text and booleans that say more about the answer. */
  readonly parameters: Readonly<Record<string, string | number | boolean>>;
}

/** What a response's JSON holds that can be compared with something else. */
export interface ParsedInferenceResponse {
  /** Undefined where it does not say, as those of other programs. */
  readonly modelVersion: string | undefined;
  /** Who answered; undefined as above. */
  readonly node: string | undefined;
  /** By name, without a prototype. */
  readonly outputs: Readonly<Record<string, Tensor>>;
}

/**
 * Reads a request: `{id?, parameters?, inputs: [{name, shape, datatype, data, parameters?}], outputs?: [{name}]}`.
 *
 * `data` is row-major, flat or nested as the shape says. 64-bit integers stay exact, as numbers or as decimal strings; BOOL
 * takes 0 and 1 too. A finite number that its datatype would turn into an infinity is refused. Unknown keys and parameters
 * are ignored, but not those that would change the answer. With `specs` (what the model declares) names, datatypes and
 * shapes are checked before any data is read; an empty list leaves that to the node. The caller bounds the text's length.
 *
 * @throws {ERR_INVALID_INPUT} naming the field that is wrong, what was expected and what was found.
 */
export function parseInferenceRequest(
  text: string,
  specs: readonly TensorSpec[],
): ParsedInferenceRequest {
  const request = asObject(parseExactJson(text), 'request');
  refuseParameters(request, 'parameters');
  const given = parseHeads(request['inputs'], 'inputs');
  if (specs.length > 0) checkInputs(specs, given);
  const inputs = parseData(given);
  return { id: parseText(request['id'], 'id'), inputs, outputs: parseOutputs(request['outputs']) };
}

/**
 * Reads what {@link formatInferenceResponse} wrote, to the same tensors. Unknown keys and parameters are ignored, as in a request.
 *
 * @throws {ERR_INVALID_INPUT} naming the field that is wrong, what was expected and what was found.
 */
export function parseInferenceResponse(text: string): ParsedInferenceResponse {
  const response = asObject(parseExactJson(text), 'response');
  const outputs = parseData(parseHeads(response['outputs'], 'outputs'));
  const parameters = asObject(response['parameters'] ?? {}, 'parameters');
  return {
    modelVersion: parseText(response['model_version'], 'model_version'),
    node: parseText(parameters['node'], 'parameters.node'),
    outputs,
  };
}

/**
 * Writes a response: `{model_name, model_version, id?, parameters, outputs: [{name, datatype, shape, data}]}`.
 *
 * `data` is flat and row-major. 64-bit integers are exact JSON numbers; FP32 and FP16 have the fewest digits that read back as
 * the same float.
 *
 * @throws {ERR_INVALID_INPUT} when an element of a BYTES output is not UTF-8, for JSON cannot carry it.
 */
export function formatInferenceResponse(response: InferenceResponseFields): string {
  const { modelName, modelVersion, id, parameters } = response;
  const outputs = Object.entries(response.outputs).map(([name, tensor]) => {
    const { datatype, shape } = tensor;
    const head = JSON.stringify({ name, datatype, shape });
    return `${head.slice(0, -1)},"data":[${formatElements(name, tensor).join(',')}]}`;
  });
  const head = JSON.stringify({
    model_name: modelName,
    model_version: modelVersion,
    id,
    parameters,
  });
  return `${head.slice(0, -1)},"outputs":[${outputs.join(',')}]}`;
}

/** A tensor whose data is not read yet. */
export interface UnreadTensor extends GivenInput {
  readonly data: unknown;
  /** Where it stands in the JSON. */
  readonly path: string;
}

function parseHeads(value: unknown, path: string): readonly UnreadTensor[] {
  const heads = asArray(value, path).map((item, index) => parseHead(item, `${path}[${index}]`));
  refuseTwice(
    heads.map(({ name }) => name),
    path,
  );
  return heads;
}

function parseData(heads: readonly UnreadTensor[]): Record<string, Tensor> {
  const tensors = Object.create(null) as Record<string, Tensor>;
  for (const { name, datatype, shape, data, path } of heads) {
    tensors[name] = parseElements(datatype, shape, data, `${path}.data`);
  }
  return tensors;
}

function parseHead(value: unknown, path: string): UnreadTensor {
  const tensor = asObject(value, path);
  refuseParameters(tensor, `${path}.parameters`);
  return parseTensorHead(tensor, path);
}

/**
 * Reads what a tensor's JSON says of it, its parameters apart.
 *
 * @throws {ERR_INVALID_INPUT} naming the field that is wrong, what was expected and what was found.
 */
export function parseTensorHead(tensor: JsonObject, path: string): UnreadTensor {
  const { datatype } = tensor;
  if (!isDatatype(datatype)) {
    throw wrongField(`${path}.datatype`, `one of ${DATATYPES.join(', ')}`, datatype);
  }
  return {
    name: parseName(tensor['name'], `${path}.name`),
    datatype,
    shape: parseShape(tensor['shape'], `${path}.shape`),
    data: tensor['data'],
    path,
  };
}

function parseOutputs(value: unknown): readonly string[] {
  if (value === undefined) return [];
  const names = asArray(value, 'outputs').map((item, index) => {
    const output = asObject(item, `outputs[${index}]`);
    refuseParameters(output, `outputs[${index}].parameters`);
    return parseName(output['name'], `outputs[${index}].name`);
  });
  refuseTwice(names, 'outputs');
  return names;
}

function refuseTwice(names: readonly string[], path: string): void {
  const seen = new Set<string>();
  for (const [index, name] of names.entries()) {
    if (seen.has(name)) {
      throw new InvalidInputError(`${path}[${index}].name: ${describeValue(name)} is given twice`);
    }
    seen.add(name);
  }
}

/** @param path of the parameters themselves */
function refuseParameters(owner: JsonObject, path: string): void {
  if (owner['parameters'] === undefined) return;
  const parameters = asObject(owner['parameters'], path);
  for (const [name, why] of Object.entries(REFUSED_PARAMETERS)) {
    // What is explicitly off asks for nothing.
    if (!Object.hasOwn(parameters, name) || parameters[name] === false) continue;
    throw new InvalidInputError(
      `${path}.${name}: expected none, found ${describeValue(parameters[name])}: ${why}`,
    );
  }
}
