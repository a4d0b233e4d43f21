import type { Readable } from 'node:stream';
import { formatElements } from '../../../protocols/json-elements.ts';
import type { Answer } from '../inference-service.ts';
import { refuseInJson } from '../input-validation.ts';

/** A body and what its headers say of it. */
export interface RestBody {
  /** What is a stream is sent as it comes, and never compressed. */
  readonly body: Buffer | Readable;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Exactly this: some clients compare the header whole before they read an error.
 *
 * @see https://github.com/kserve/kserve, python/kserve/kserve/inference_client.py
 */
export const JSON_TYPE = 'application/json';

const BINARY_TYPE = 'application/octet-stream';

/** A value as a body of JSON. */
export function jsonBody(value: unknown): RestBody {
  return jsonText(JSON.stringify(value));
}

/** A text that is JSON as a body. */
export function jsonText(text: string): RestBody {
  return { body: Buffer.from(text), headers: { 'content-type': JSON_TYPE } };
}

/**
 * Writes an answer: JSON, and after it the bytes of the outputs that were wanted binary, in the order of the JSON.
 *
 * @throws {ERR_INVALID_INPUT} when JSON cannot carry an output: FP16, or BYTES that are not UTF-8.
 */
export function formatRestResponse({ model, id, parameters, outputs }: Answer): RestBody {
  const tail: Uint8Array[] = [];
  const texts = outputs.map(({ name, tensor, binary }) => {
    const { datatype, shape } = tensor;
    if (binary) {
      tail.push(tensor.bytes);
      const size = { binary_data_size: tensor.bytes.byteLength };
      return JSON.stringify({ name, datatype, shape, parameters: size });
    }
    refuseInJson(datatype, 'output', name);
    const head = JSON.stringify({ name, datatype, shape });
    return `${head.slice(0, -1)},"data":[${formatElements(name, tensor).join(',')}]}`;
  });
  const head = JSON.stringify({
    model_name: model.asked,
    model_version: model.version,
    id,
    parameters,
  });
  const json = Buffer.from(`${head.slice(0, -1)},"outputs":[${texts.join(',')}]}`);
  if (tail.every(({ byteLength }) => byteLength === 0)) {
    return { body: json, headers: { 'content-type': JSON_TYPE } };
  }
  return {
    body: Buffer.concat([json, ...tail]),
    headers: {
      'content-type': BINARY_TYPE,
      'inference-header-content-length': String(json.byteLength),
    },
  };
}
