/** The bodies of the HTTP API as JSON Schema 2020-12, by the names under which the OpenAPI document refers to them. */

import { DATATYPES } from '../../../protocols/datatype.ts';
import { MAX_TEXTS } from '../embedding/embedding-request.ts';

export type JsonSchema = Readonly<Record<string, unknown>>;

const text = { type: 'string' };
const flag = { type: 'boolean' };
const count = { type: 'integer', minimum: 0 };
const anything = {};

/** An object of these fields, and of others that whoever reads it ignores. */
function object(
  properties: Readonly<Record<string, JsonSchema>>,
  optional: readonly string[] = [],
): JsonSchema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', properties, ...(required.length > 0 && { required }) };
}

function list(items: JsonSchema): JsonSchema {
  return { type: 'array', items };
}

export function reference(name: keyof typeof SCHEMAS): JsonSchema {
  return { $ref: `#/components/schemas/${name}` };
}

const parameters = { type: 'object', additionalProperties: anything };
const datatype = { type: 'string', enum: [...DATATYPES] };
/** -1 is a free dimension. */
const declared = list({ type: 'integer', minimum: -1 });
const duration = object({ count, ns: count });
const tensorMetadata = object({ name: text, datatype, shape: declared });
const tensorConfig = object(
  { name: text, data_type: text, dims: declared, reshape: object({ shape: list(count) }) },
  ['reshape'],
);
const tokens = { ...list({ ...count, exclusiveMaximum: 2 ** 31 }), minItems: 1 };
const openAiModel = object({
  id: text,
  object: { const: 'model' },
  created: count,
  owned_by: text,
});

export const SCHEMAS = {
  Error: object({ error: text }),
  OpenAiError: object({
    error: object({
      message: text,
      type: text,
      param: { type: ['string', 'null'] },
      code: { type: ['string', 'null'] },
    }),
  }),
  Live: object({ live: { const: true } }),
  Ready: object({ ready: flag, live: { const: true }, error: text }, ['error']),
  ServerMetadata: object({ name: text, version: text, extensions: list(text) }),
  ModelReady: object({ name: text, ready: { const: true } }),
  ModelMetadata: object({
    name: text,
    versions: list(text),
    platform: text,
    inputs: list(tensorMetadata),
    outputs: list(tensorMetadata),
  }),
  ModelConfig: object(
    {
      name: text,
      platform: text,
      backend: text,
      max_batch_size: count,
      input: list(tensorConfig),
      output: list(tensorConfig),
      default_model_filename: text,
      dynamic_batching: object({ max_queue_delay_microseconds: count }),
    },
    ['dynamic_batching'],
  ),
  Statistics: object({
    model_stats: list(
      object({
        name: text,
        version: text,
        last_inference: count,
        inference_count: count,
        execution_count: count,
        inference_stats: object({
          success: duration,
          fail: duration,
          queue: duration,
          compute_input: duration,
          compute_infer: duration,
          compute_output: duration,
          cache_hit: duration,
          cache_miss: duration,
        }),
        batch_stats: list(anything),
        memory_usage: list(anything),
        response_stats: { type: 'object' },
      }),
    ),
  }),
  IndexRequest: object({ ready: flag }, ['ready']),
  Index: list(
    object({
      name: text,
      version: text,
      state: { type: 'string', enum: ['READY', 'UNAVAILABLE'] },
      reason: text,
    }),
  ),
  RepositoryChange: object({ parameters }, ['parameters']),
  Done: { type: 'object' },
  InferRequest: object(
    {
      id: text,
      parameters,
      inputs: list(
        object({ name: text, datatype, shape: list(count), parameters, data: { type: 'array' } }, [
          'parameters',
          'data',
        ]),
      ),
      outputs: list(object({ name: text, parameters }, ['parameters'])),
    },
    ['id', 'parameters', 'outputs'],
  ),
  InferResponse: object(
    {
      model_name: text,
      model_version: text,
      id: text,
      parameters,
      outputs: list(
        object({ name: text, datatype, shape: list(count), parameters, data: { type: 'array' } }, [
          'parameters',
          'data',
        ]),
      ),
    },
    ['id'],
  ),
  GenerateRequest: object({ id: text, parameters }, ['id', 'parameters']),
  GenerateResponse: object({ id: text, model_name: text, model_version: text }, ['id']),
  OpenAiModel: openAiModel,
  OpenAiModels: object({ object: { const: 'list' }, data: list(openAiModel) }),
  EmbeddingRequest: object(
    {
      model: text,
      input: {
        anyOf: [
          text,
          { ...list(text), minItems: 1, maxItems: MAX_TEXTS },
          tokens,
          { ...list(tokens), minItems: 1, maxItems: MAX_TEXTS },
        ],
      },
      encoding_format: { type: 'string', enum: ['float', 'base64'] },
      dimensions: { type: 'integer', minimum: 1 },
    },
    ['encoding_format', 'dimensions'],
  ),
  Embeddings: object({
    object: { const: 'list' },
    data: list(
      object({
        object: { const: 'embedding' },
        index: count,
        embedding: { anyOf: [list({ type: 'number' }), text] },
      }),
    ),
    model: text,
    usage: object({ prompt_tokens: count, total_tokens: count }),
  }),
  OpenAiTextRequest: object({ model: text }),
  OpenApi: object({ openapi: text, info: { type: 'object' }, paths: { type: 'object' } }),
} as const satisfies Readonly<Record<string, JsonSchema>>;
