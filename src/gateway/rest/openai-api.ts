import { Tensor } from '../../../protocols/tensor.ts';
import { type FoundModel, isConclusive } from '../../client/catalog-search.ts';
import { checkMayUse } from '../access/api-keys.ts';
import type { ApiGroup } from '../access/restricted-groups.ts';
import { type EmbeddingRequest, parseEmbeddingRequest } from '../embedding/embedding-request.ts';
import type { EmbeddingAnswer, EmbeddingService } from '../embedding/embedding-service.ts';
import type { ModelDirectory } from '../models/model-directory.ts';
import { shown, tooFewAnswered } from '../models/shown-name.ts';
import { type Failure, GatewayRefusal, httpStatus } from '../refusal.ts';
import type { GatewayClient } from '../swarm-access.ts';
import { type RestAnswer, type RestCall, traceHeadersOf } from './rest-api.ts';
import { jsonBody, type RestBody } from './rest-response.ts';

const EMBEDDINGS = '/v1/embeddings';

const NOT_YET = /^\/v1\/(?:chat\/completions|completions)$/;

/** Of a body that is too large; Triton answers 400 to it. */
const TOO_LARGE = 413;

/** The words of OpenAI's clients for what went wrong, by HTTP status. */
const ERROR_TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'invalid_request_error',
  405: 'invalid_request_error',
  400: 'invalid_request_error',
  413: 'invalid_request_error',
  429: 'rate_limit_error',
};

/** True for a path whose answers, and errors, have OpenAI's form. */
export function isOpenAiPath(path: string): boolean {
  return path === '/v1' || path.startsWith('/v1/');
}

/** The group of the API, in Triton's sense, that a path is of. */
export function openAiGroupOf(path: string): ApiGroup {
  return /^\/v1\/models(?:\/|$)/.test(path) ? 'metadata' : 'inference';
}

export interface OpenAiComponents {
  readonly access: { readonly client: Pick<GatewayClient, 'searchModels'> };
  readonly directory: Pick<ModelDirectory, 'find' | 'isRefused'>;
  readonly embeddings: Pick<EmbeddingService, 'embed'>;
}

/** OpenAI's API as far as it goes without generated text: which models there are, and vectors of texts. */
export class OpenAiApi {
  readonly #access: OpenAiComponents['access'];
  readonly #directory: OpenAiComponents['directory'];
  readonly #embeddings: OpenAiComponents['embeddings'];

  constructor({ access, directory, embeddings }: OpenAiComponents) {
    this.#access = access;
    this.#directory = directory;
    this.#embeddings = embeddings;
  }

  /** @throws what `failureOf` reads. */
  async answer(call: RestCall): Promise<RestAnswer> {
    const path = call.path.replace(/\/$/, '');
    if (NOT_YET.test(path)) return this.#refuseText(call);
    if (path === EMBEDDINGS) return { status: 200, ...(await this.#embed(call)) };
    const [, id] = /^\/v1\/models(?:\/(.+))?$/.exec(path) ?? [];
    if (id === undefined && path !== '/v1/models') {
      throw new GatewayRefusal('not-found', `no such path: ${shown(path)}`);
    }
    if (call.method !== 'GET') {
      throw new GatewayRefusal('wrong-method', 'Method Not Allowed', { headers: { allow: 'GET' } });
    }
    const body = id === undefined ? await this.#list(call) : await this.#one(call, decode(id));
    return { status: 200, ...body };
  }

  async #list({ caller, signal }: RestCall): Promise<RestBody> {
    const { models } = await this.#access.client.searchModels({}, { signal });
    const data = models
      .filter(({ publisher, name }) => {
        const id = `${publisher}/${name}`;
        return caller.mayUse(id) && !this.#directory.isRefused(id);
      })
      .map((model) => describe(model));
    return jsonBody({ object: 'list', data });
  }

  async #one({ caller, signal }: RestCall, id: string): Promise<RestBody> {
    const { name, ref } = await this.#directory.find(id, '', { signal });
    checkMayUse(caller, name);
    const searched = await this.#access.client.searchModels(
      { text: ref.name, publisher: ref.publisher },
      { signal },
    );
    const found = searched.models.find((model) => model.name === ref.name);
    if (found === undefined) {
      if (!isConclusive(searched)) throw tooFewAnswered(id, searched);
      throw new GatewayRefusal('not-found', `The model ${shown(id)} does not exist`);
    }
    return jsonBody({ ...describe(found), id });
  }

  async #embed(call: RestCall): Promise<RestBody> {
    checkPosted(call);
    const { headers, body, caller, requestId, signal } = call;
    const request = parseEmbeddingRequest(body);
    const traceHeaders = traceHeadersOf(headers);
    const answer = await this.#embeddings.embed({
      ...{ request, caller, requestId, traceHeaders, signal },
    });
    return jsonBody(formatVectors(request, answer));
  }

  /** A model that is there cannot do it; one that is not is told first. */
  async #refuseText(call: RestCall): Promise<RestAnswer> {
    checkPosted(call);
    const { body, caller, signal } = call;
    const { name } = await this.#directory.find(modelOf(body), '', { signal });
    checkMayUse(caller, name);
    throw new GatewayRefusal('unsupported', `model '${name}' does not generate text`);
  }
}

/** A failure in OpenAI's form. Its clients ask again after any status from 500 unless they are told not to. */
export function formatOpenAiError(failure: Failure, path: string): RestAnswer {
  const { kind, message, param = null } = failure;
  const status = kind === 'too-large' ? TOO_LARGE : httpStatus(kind);
  const ofModel = path === EMBEDDINGS || NOT_YET.test(path) || path.startsWith('/v1/models/');
  const { body, headers } = jsonBody({
    error: {
      message,
      type: ERROR_TYPES[status] ?? 'server_error',
      param,
      code: kind === 'not-found' && ofModel ? 'model_not_found' : kind.replaceAll('-', '_'),
    },
  });
  const again = kind === 'unavailable' || kind === 'exhausted';
  return { status, body, headers: { ...headers, 'x-should-retry': String(again) } };
}

function describe({ publisher, name, record }: FoundModel): object {
  return {
    id: `${publisher}/${name}`,
    object: 'model',
    created: Math.floor(record.issuedAtMs / 1000),
    owned_by: publisher,
  };
}

/** @throws {GatewayRefusal} when it is not asked by POST. */
function checkPosted({ method }: RestCall): void {
  if (method === 'POST') return;
  throw new GatewayRefusal('wrong-method', 'Method Not Allowed', { headers: { allow: 'POST' } });
}

function formatVectors(
  { model, encoding }: EmbeddingRequest,
  { vectors, tokens }: EmbeddingAnswer,
): object {
  return {
    object: 'list',
    data: vectors.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: encoding === 'base64' ? toBase64(vector) : Array.from(vector),
    })),
    model,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

/** The bytes of FP32 little-endian, whatever this machine's own order. */
function toBase64(vector: Float32Array): string {
  return Buffer.from(Tensor.from('FP32', [vector.length], vector).bytes).toString('base64');
}

function modelOf(body: Buffer): string {
  let request: unknown;
  try {
    request = JSON.parse(body.toString('utf8'));
  } catch {
    throw new GatewayRefusal('invalid', 'the request is not JSON');
  }
  if (typeof request === 'object' && request !== null && 'model' in request) {
    if (typeof request.model === 'string') return request.model;
  }
  throw new GatewayRefusal('invalid', 'you must provide a model parameter');
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new GatewayRefusal('not-found', 'the path has a broken escape');
  }
}
