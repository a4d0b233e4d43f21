/**
 * Triton's generate extension: an object whose keys are a model's inputs, for who has no tensors. Its answer is the same of the outputs.
 *
 * @see https://github.com/triton-inference-server/server, docs/protocol/extension_generate.md
 */

import { InvalidInputError } from '../../../protocols/errors.ts';
import { formatElements, parseElements } from '../../../protocols/json-elements.ts';
import { flattenArray, nestedShape } from '../../../protocols/nested-array.ts';
import { formatShape } from '../../../protocols/shape.ts';
import type { Tensor } from '../../../protocols/tensor.ts';
import type { TensorSpec } from '../../../protocols/types.ts';
import { asObject, type JsonObject, parseText, wrongField } from '../../client/json-field.ts';
import { type InferRequest, parseSchedule } from '../infer-request.ts';
import type { Answer } from '../inference-service.ts';
import { checkGivenInputs, type ExpectedTensors, refuseInJson } from '../input-validation.ts';
import { shown } from '../models/shown-name.ts';
import { parseJson } from './rest-request.ts';

/** @throws {ERR_INVALID_INPUT} when a request is no object. */
export function parseGenerateBody(body: Uint8Array): JsonObject {
  return asObject(parseJson(body), 'request');
}

/**
 * Reads a request against the inputs that the model has. Keys that are none of them are parameters, as those in `parameters`.
 *
 * @throws {ERR_INVALID_INPUT} naming what is wrong, what was expected and what was found.
 */
export function parseGenerateRequest(request: JsonObject, expected: ExpectedTensors): InferRequest {
  const { id, parameters = {}, stream_options: _read, ...keys } = request;
  const inputs = Object.create(null) as Record<string, Tensor>;
  for (const spec of expected.inputs) {
    if (Object.hasOwn(keys, spec.name)) inputs[spec.name] = toTensor(spec, keys[spec.name]);
  }
  const given = Object.entries(inputs);
  checkGivenInputs(
    expected,
    given.map(([name, { datatype, shape }]) => ({ name, datatype, shape })),
  );
  const others = Object.entries(keys).filter(([name]) => !Object.hasOwn(inputs, name));
  return {
    id: parseText(id, 'id') || undefined,
    inputs,
    outputs: [],
    binaryOutputs: false,
    schedule: parseSchedule({
      ...Object.fromEntries(others),
      ...asObject(parameters, 'parameters'),
    }),
  };
}

/**
 * Writes an answer: each output under its name, one element as itself, more as a flat array.
 *
 * @throws {ERR_INVALID_INPUT} when JSON cannot carry an output: FP16, or BYTES that are not UTF-8.
 */
export function formatGenerateAnswer({ model, id, outputs }: Answer): string {
  const head = JSON.stringify({ id, model_name: model.asked, model_version: model.version });
  const texts = outputs.map(({ name, tensor }) => {
    refuseInJson(tensor.datatype, 'output', name);
    const elements = formatElements(name, tensor);
    const [only = 'null'] = elements;
    return `${JSON.stringify(name)}:${elements.length === 1 ? only : `[${elements.join(',')}]`}`;
  });
  return `${head.slice(0, -1)}${texts.map((text) => `,${text}`).join('')}}`;
}

/**
 * Whether a stream is to end with what it took: `stream_options.include_usage`, as OpenAI's clients write it.
 *
 * @throws {ERR_INVALID_INPUT} when it is neither true nor false.
 */
export function wantsUsage({ stream_options: options = {} }: JsonObject): boolean {
  const { include_usage: wanted = false } = asObject(options, 'stream_options');
  if (typeof wanted === 'boolean') return wanted;
  throw wrongField('stream_options.include_usage', 'true or false', wanted);
}

/** @throws {ERR_INVALID_INPUT} for options of a stream, where there is none. */
export function refuseStreamOptions({ stream_options: options }: JsonObject): void {
  if (options === undefined) return;
  throw new InvalidInputError('stream_options is only for generate_stream');
}

/** What an answer took. */
export function formatUsage({ usage }: Answer): string {
  const { inputBytes, outputBytes, queueMs, executeMs } = usage;
  return JSON.stringify({
    usage: {
      ...{ input_bytes: inputBytes, output_bytes: outputBytes },
      ...{ queue_ms: queueMs, execute_ms: executeMs },
    },
  });
}

/** A value with fewer dimensions than the input is one row of it. */
function toTensor({ name, datatype, shape: declared }: TensorSpec, value: unknown): Tensor {
  refuseInJson(datatype, 'input', name);
  const given = nestedShape(value);
  if (given.length > declared.length) {
    throw new InvalidInputError(
      `input ${shown(name)} has shape ${formatShape(given)}, expected at most ${declared.length} dimensions`,
    );
  }
  const path = `request.${name.slice(0, 80)}`;
  const shape = [...Array<number>(declared.length - given.length).fill(1), ...given];
  const elements = given.length === 0 ? [value] : flattenArray(given, value, path);
  return parseElements(datatype, shape, elements, path);
}
