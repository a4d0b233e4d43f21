import { EVENT_STREAM_HEADERS } from './event-stream.ts';
import { type JsonSchema, reference, SCHEMAS } from './openapi-schemas.ts';
import type { RestRoute } from './rest-path.ts';

/** What an operation does, by the route that serves it, or the OpenAI path's own name. */
type OperationId =
  | Exclude<RestRoute['kind'], 'shared-memory'>
  | 'openai-models'
  | 'openai-model'
  | 'openai-embeddings'
  | 'openai-chat-completions'
  | 'openai-completions';

interface Operation {
  readonly id: OperationId;
  readonly method?: 'get' | 'post';
  readonly summary: string;
  readonly request?: keyof typeof SCHEMAS;
  /** What it answers with 200; undefined where it never does. */
  readonly answer?: keyof typeof SCHEMAS;
  /** Statuses of failure that are its own. */
  readonly failures?: readonly number[];
}

/** Any request may have these: it is wrong, without key, forbidden, too much, or something is broken. */
const COMMON_FAILURES = [400, 401, 403, 429, 500] as const;

/** Of those that ask the swarm: unknown model, nobody there, out of time. */
const SWARM_FAILURES = [404, 503, 504] as const;

const FAILURES: Readonly<Record<number, string>> = {
  400: 'The request is wrong, or beyond a limit; the message says what was expected and found.',
  401: 'No API key was given, or an unknown one.',
  403: 'The API key is not for this, or a header of a restricted group is missing.',
  404: 'The model or version is unknown.',
  413: 'The body is too large.',
  429: 'The rate of the API key is used up; retry-after says for how long.',
  500: 'The model failed while it ran.',
  501: 'Not supported.',
  503: 'Busy, loading, or nobody is there: ask again.',
  504: 'Out of time.',
};

const EVENT_STREAM_TYPE = EVENT_STREAM_HEADERS['content-type'];

/** The operations that a model has, with and without a version. */
const OF_MODEL: Readonly<Record<string, Operation>> = {
  '': { id: 'model-metadata', summary: 'What a model takes and gives', answer: 'ModelMetadata' },
  '/ready': { id: 'model-ready', summary: 'Whether a node serves a model', answer: 'ModelReady' },
  '/config': {
    id: 'model-config',
    summary: "A model in the words of Triton's configuration",
    answer: 'ModelConfig',
  },
  '/stats': {
    id: 'model-statistics',
    summary: 'What this gateway counted of a model',
    answer: 'Statistics',
  },
  '/infer': {
    id: 'infer',
    method: 'post',
    summary: 'Run a model',
    request: 'InferRequest',
    answer: 'InferResponse',
    failures: [501],
  },
  '/generate': {
    id: 'generate',
    method: 'post',
    summary: 'Run a model on plain values by the names of its inputs',
    request: 'GenerateRequest',
    answer: 'GenerateResponse',
    failures: [501],
  },
  '/generate_stream': {
    id: 'generate-stream',
    method: 'post',
    summary: 'The same, its answers as server-sent events',
    request: 'GenerateRequest',
    answer: 'GenerateResponse',
    failures: [501],
  },
};

const SERVER: Readonly<Record<string, Operation>> = {
  '/v2': { id: 'server-metadata', summary: 'What the server is', answer: 'ServerMetadata' },
  '/v2/health/live': { id: 'server-live', summary: 'Whether the process answers', answer: 'Live' },
  '/v2/health/ready': {
    id: 'server-ready',
    summary: 'Whether it should be sent requests',
    answer: 'Ready',
  },
  '/v2/models/stats': {
    id: 'all-statistics',
    summary: 'What this gateway counted of every model',
    answer: 'Statistics',
  },
  '/v2/repository/index': {
    id: 'repository-index',
    method: 'post',
    summary: 'The models of the swarm',
    request: 'IndexRequest',
    answer: 'Index',
    failures: [503, 504],
  },
  '/openapi.json': { id: 'api-description', summary: 'This document', answer: 'OpenApi' },
};

const CHANGES: Readonly<Record<string, Operation>> = Object.fromEntries(
  (['load', 'unload'] as const).map((what) => [
    `/v2/repository/models/{model}/${what}`,
    {
      id: `model-${what}`,
      method: 'post',
      summary: `${what === 'load' ? 'Serve a model again' : 'Serve a model no more'}, for admins`,
      request: 'RepositoryChange',
      answer: 'Done',
      failures: [501],
    },
  ]),
);

const OPENAI: Readonly<Record<string, Operation>> = {
  '/v1/models': {
    id: 'openai-models',
    summary: 'The models of the swarm, as OpenAI lists them',
    answer: 'OpenAiModels',
  },
  '/v1/models/{model}': {
    id: 'openai-model',
    summary: 'A model, as OpenAI lists it',
    answer: 'OpenAiModel',
  },
  '/v1/embeddings': {
    id: 'openai-embeddings',
    method: 'post',
    summary: 'Vectors of texts',
    request: 'EmbeddingRequest',
    answer: 'Embeddings',
  },
  ...Object.fromEntries(
    (['chat/completions', 'completions'] as const).map((path) => [
      `/v1/${path}`,
      {
        id: `openai-${path.replace('/', '-')}` as OperationId,
        method: 'post',
        summary: 'Not supported yet: no model generates text',
        request: 'OpenAiTextRequest',
        failures: [501],
      },
    ]),
  ),
};

const OPERATIONS: Readonly<Record<string, Operation>> = {
  ...SERVER,
  ...CHANGES,
  ...Object.fromEntries(
    ['/v2/models/{model}', '/v2/models/{model}/versions/{version}'].flatMap((path) =>
      Object.entries(OF_MODEL).map(([action, operation]) => [`${path}${action}`, operation]),
    ),
  ),
  ...OPENAI,
};

/**
 * The HTTP API as an OpenAPI document: each path with all the statuses it answers.
 *
 * @see https://spec.openapis.org/oas/v3.1.1
 */
export function describeApi(version: string): JsonSchema {
  return {
    openapi: '3.1.1',
    info: {
      title: 'gpu-swarm gateway',
      version,
      description:
        'A swarm of nodes as one inference server: the Open Inference Protocol, and what of the OpenAI API needs no generated text.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    // Where the gateway has keys; a request to one that has none needs none.
    security: [{}, { apiKey: [] }],
    paths: Object.fromEntries(
      Object.entries(OPERATIONS).map(([path, operation]) => [
        path,
        { [operation.method ?? 'get']: describeOperation(path, operation) },
      ]),
    ),
    components: {
      schemas: SCHEMAS,
      securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } },
    },
  };
}

function describeOperation(path: string, { id, summary, ...operation }: Operation): JsonSchema {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  const version = names.includes('version') ? '-of-version' : '';
  return {
    operationId: `${id}${version}`,
    summary,
    ...(names.length > 0 && { parameters: names.map(describeParameter) }),
    ...(operation.request !== undefined && {
      requestBody: {
        required: id !== 'repository-index' && !id.endsWith('load'),
        content: { 'application/json': { schema: reference(operation.request) } },
      },
    }),
    responses: describeResponses(path, { id, ...operation }),
  };
}

function describeParameter(name: string): JsonSchema {
  return {
    name,
    in: 'path',
    required: true,
    description:
      name === 'model'
        ? 'publisher/name, petname/name, or a name that one publisher has; a slash may be escaped'
        : 'A channel, a release sequence in digits, or a CID',
    schema: { type: 'string', minLength: 1 },
  };
}

function describeResponses(path: string, operation: Omit<Operation, 'summary'>): JsonSchema {
  const { id, answer, failures = [] } = operation;
  const openAi = path.startsWith('/v1/');
  const asksSwarm = openAi || path.includes('{model}');
  const statuses = new Set([
    ...COMMON_FAILURES,
    ...failures,
    ...(asksSwarm ? SWARM_FAILURES : []),
    ...(openAi && operation.request !== undefined ? [413] : []),
  ]);
  const failed = [...statuses].map((status) => [
    String(status),
    describeResponse(FAILURES[status] ?? '', openAi ? 'OpenAiError' : 'Error'),
  ]);
  return {
    ...(answer !== undefined && { 200: describeResponse('Done.', answer, id) }),
    ...Object.fromEntries(failed),
    ...(id === 'server-ready' && { 503: describeResponse('Not ready, and why.', 'Ready') }),
  };
}

function describeResponse(
  description: string,
  name: keyof typeof SCHEMAS,
  id?: OperationId,
): JsonSchema {
  if (id === 'generate-stream') {
    return { description, content: { [EVENT_STREAM_TYPE]: { schema: { type: 'string' } } } };
  }
  return {
    description,
    content: {
      'application/json': { schema: reference(name) },
      // JSON and the bytes of tensors after it.
      ...(id === 'infer' && {
        'application/octet-stream': { schema: { type: 'string', format: 'binary' } },
      }),
    },
  };
}
