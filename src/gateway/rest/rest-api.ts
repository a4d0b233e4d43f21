import { InvalidInputError } from '../../../protocols/errors.ts';
import type { TraceHeaders } from '../../../protocols/trace-context.ts';
import { asObject, type JsonObject } from '../../client/json-field.ts';
import { type Caller, checkMayUse } from '../access/api-keys.ts';
import type { ApiComponents } from '../api-components.ts';
import type { InferRequest } from '../infer-request.ts';
import type { Answer } from '../inference-service.ts';
import type { ExpectedTensors } from '../input-validation.ts';
import { describeConfig, describeModel } from '../models/model-description.ts';
import type { ServedModel } from '../models/model-directory.ts';
import { shown } from '../models/shown-name.ts';
import { failureOf, GatewayRefusal } from '../refusal.ts';
import { describeServer } from '../server-description.ts';
import { EVENT_STREAM_HEADERS, openEventStream } from './event-stream.ts';
import {
  formatGenerateAnswer,
  formatUsage,
  parseGenerateBody,
  parseGenerateRequest,
  refuseStreamOptions,
  wantsUsage,
} from './generate-request.ts';
import { describeApi } from './openapi-document.ts';
import { methodOf, parseRestPath, type RestRoute } from './rest-path.ts';
import { parseJson, parseRestRequest } from './rest-request.ts';
import { formatRestResponse, jsonBody, jsonText, type RestBody } from './rest-response.ts';

export interface RestCall {
  readonly method: string;
  /** Path of the request as it was sent, without its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  readonly caller: Caller;
  readonly requestId: string;
  readonly signal: AbortSignal;
}

/** What of a route names a model. */
interface ModelRoute {
  readonly model: string;
  readonly version: string;
}

export interface RestAnswer extends RestBody {
  readonly status: number;
}

/** True for what a probe asks, who has no key. */
export function isProbe(path: string): boolean {
  return /^\/v2\/health\/(?:live|ready)\/?$/.test(path);
}

/**
 * The Open Inference Protocol over HTTP, apart from sockets.
 *
 * @see https://github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md
 */
export class RestApi {
  readonly #components: ApiComponents;

  constructor(components: ApiComponents) {
    this.#components = components;
  }

  /** @throws what `failureOf` reads. */
  async answer(call: RestCall): Promise<RestAnswer> {
    const route = parseRestPath(call.path);
    if (route === undefined) throw new GatewayRefusal('not-found', 'Not Found');
    if (route.kind === 'shared-memory') {
      throw new GatewayRefusal('unsupported', 'shared memory is not supported');
    }
    const method = methodOf(route);
    if (call.method !== method) {
      throw new GatewayRefusal('wrong-method', 'Method Not Allowed', {
        headers: { allow: method },
      });
    }
    if (route.kind === 'server-ready') return this.#ready();
    return { status: 200, ...(await this.#ok(call, route)) };
  }

  async #ok(call: RestCall, route: RestRoute): Promise<RestBody> {
    const { statistics, version, repository } = this.#components;
    switch (route.kind) {
      case 'infer':
        return this.#infer(call, route);
      case 'generate':
        return this.#generate(call, route);
      case 'generate-stream':
        return this.#generateStream(call, route);
      case 'server-live':
        return jsonBody({ live: true });
      case 'server-metadata':
        return jsonBody(describeServer(version));
      case 'api-description':
        return jsonBody(describeApi(version));
      case 'all-statistics':
        return jsonBody({
          model_stats: statistics.all().filter(({ name }) => call.caller.mayUse(name)),
        });
      case 'repository-index':
        return this.#index(call);
      case 'model-load':
        await repository.load(changeOf(call, route));
        return jsonBody({});
      case 'model-unload':
        await repository.unload(changeOf(call, route));
        return jsonBody({});
      case 'model-metadata':
        return jsonBody(describeModel(await this.#find(call, route)));
      case 'model-config':
        return jsonBody(describeConfig(await this.#find(call, route)));
      case 'model-statistics':
        return jsonBody({ model_stats: [statistics.of(await this.#find(call, route))] });
      case 'model-ready':
        return this.#modelReady(call, route);
      default:
        throw new GatewayRefusal('not-found', 'Not Found');
    }
  }

  #ready(): RestAnswer {
    const { ready, reason } = this.#components.readiness;
    return {
      status: ready ? 200 : 503,
      // The specification's text calls it live, its clients look for ready.
      ...jsonBody(ready ? { ready, live: true } : { ready, live: true, error: reason }),
    };
  }

  async #infer(call: RestCall, route: ModelRoute): Promise<RestBody> {
    const length = header(call.headers, 'inference-header-content-length');
    const answer = await this.#run(call, route, (expected) =>
      parseRestRequest(call.body, length, expected),
    );
    return formatRestResponse(answer);
  }

  async #generate(call: RestCall, route: ModelRoute): Promise<RestBody> {
    const request = parseGenerateBody(call.body);
    refuseStreamOptions(request);
    const answer = await this.#run(call, route, (expected) =>
      parseGenerateRequest(request, expected),
    );
    return jsonText(formatGenerateAnswer(answer));
  }

  /** The models of today answer once. */
  async #generateStream(call: RestCall, route: ModelRoute): Promise<RestBody> {
    const request = parseGenerateBody(call.body);
    const usage = wantsUsage(request);
    const generate = async function* (this: RestApi): AsyncGenerator<string> {
      const answer = await this.#run(call, route, (expected) =>
        parseGenerateRequest(request, expected),
      );
      yield formatGenerateAnswer(answer);
      if (usage) yield formatUsage(answer);
    };
    const body = await openEventStream(generate.call(this), {
      formatError: (error) => JSON.stringify({ error: failureOf(error).message }),
    });
    return { body, headers: EVENT_STREAM_HEADERS };
  }

  async #run(
    { headers, caller, requestId, signal }: RestCall,
    { model, version }: ModelRoute,
    parse: (expected: ExpectedTensors) => InferRequest,
  ): Promise<Answer> {
    return this.#components.service.infer({
      ...{ protocol: 'rest', model, version, caller, requestId, signal },
      traceHeaders: traceHeadersOf(headers),
      parse: ({ asked, manifest: { inputs, outputs } }) => parse({ model: asked, inputs, outputs }),
    });
  }

  async #modelReady(call: RestCall, route: ModelRoute): Promise<RestBody> {
    const { asked, cid } = await this.#find(call, route);
    if (this.#components.access.client.servable(cid).length === 0) {
      throw new GatewayRefusal('unavailable', `no node serves model ${shown(asked)}`);
    }
    return jsonBody({ name: asked, ready: true });
  }

  async #index({ body, caller, signal }: RestCall): Promise<RestBody> {
    const { ready = false } = optionalObject(body);
    if (typeof ready !== 'boolean') {
      throw new InvalidInputError(`ready is ${typeof ready}, expected true or false`);
    }
    return jsonBody(await this.#components.repository.index(caller, { ready, signal }));
  }

  async #find({ caller, signal }: RestCall, { model, version }: ModelRoute): Promise<ServedModel> {
    const found = await this.#components.directory.find(model, version, { signal });
    checkMayUse(caller, found.name);
    return found;
  }
}

/** A body of JSON that may be left out. */
function optionalObject(body: Buffer): JsonObject {
  return body.byteLength === 0 ? {} : asObject(parseJson(body), 'request');
}

function changeOf({ body, caller, signal }: RestCall, { model }: { readonly model: string }) {
  const { parameters = {} } = optionalObject(body);
  return { model, parameters: asObject(parameters, 'parameters'), caller, signal };
}

/** The headers in which a trace's context comes. */
export function traceHeadersOf(headers: RestCall['headers']): TraceHeaders {
  const { tracestate } = headers;
  return {
    traceparent: header(headers, 'traceparent'),
    // Several are one list.
    tracestate: Array.isArray(tracestate) ? tracestate.join(',') : tracestate,
  };
}

/** The one value of a header; of one that was sent several times the first. */
export function header(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  name: string,
): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}
