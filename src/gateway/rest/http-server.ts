import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { ListenAddress } from '../../swarm/listen-address.ts';
import { ANYBODY, type ApiKeys, type Caller } from '../access/api-keys.ts';
import type { ApiGroup, RestrictedGroups } from '../access/restricted-groups.ts';
import type { TlsFiles } from '../access/tls-files.ts';
import type { Readiness } from '../readiness.ts';
import { type Failure, failureOf, GatewayRefusal, httpStatus } from '../refusal.ts';
import { REQUEST_ID_HEADER, requestIdOf } from '../request-id.ts';
import { AwaitedBodies } from './awaited-bodies.ts';
import { decodeBody, encodeBody, selectEncoding } from './body-coding.ts';
import { OpenAnswers } from './open-answers.ts';
import { formatOpenAiError, isOpenAiPath, type OpenAiApi, openAiGroupOf } from './openai-api.ts';
import { header, isProbe, type RestAnswer, type RestApi } from './rest-api.ts';
import { groupOf, parseRestPath } from './rest-path.ts';
import { jsonBody } from './rest-response.ts';
import {
  HEADERS_TIMEOUT_MS,
  MAX_HEADER_BYTES,
  REQUEST_TIMEOUT_MS,
  refuseUnread,
} from './unread-request.ts';

/** Milliseconds between two looks for requests that are late: Node's 30 s would make up to 45 of the 15 that headers have. */
const LATE_LOOK_MS = 1_000;

/** Milliseconds a connection may stay without a request; longer than the 60 s of common load balancers. */
const KEEP_ALIVE_MS = 72_000;

/** A type that the library takes, for every body. */
const ANY_TYPE = 'application/octet-stream';

export interface HttpServerInit {
  readonly listen: ListenAddress;
  /** Bytes of a request's body, as sent and once decompressed. */
  readonly maxBodyBytes: number;
  /** Milliseconds for which a client may take nothing of an answer. */
  readonly readerTimeoutMs: number;
  /** The certificate it shows; undefined for plain HTTP. */
  readonly tls: TlsFiles | undefined;
}

export interface HttpServerComponents {
  readonly api: RestApi;
  readonly openai: OpenAiApi;
  readonly keys: ApiKeys;
  readonly restricted: RestrictedGroups;
  readonly readiness: Readiness;
  readonly logger: Logger;
}

/** Who each request is from, known before its body is. */
const callers = new WeakMap<FastifyRequest, Caller>();

/** The HTTP side of the gateway: limits, keys, compression, request ids and the life of a connection; {@link RestApi} has the rest. */
export class HttpServer {
  readonly #app: FastifyInstance;
  readonly #init: HttpServerInit;
  readonly #components: HttpServerComponents;
  readonly #open = new OpenAnswers();
  readonly #bodies: AwaitedBodies;

  constructor(init: HttpServerInit, components: HttpServerComponents) {
    this.#init = init;
    this.#components = components;
    this.#app = createApp(init, (error, request, reply) => {
      void reply.header(REQUEST_ID_HEADER, request.id);
      void this.#refuse(error, request, reply);
    });
    this.#bodies = new AwaitedBodies(this.#app.server);
    this.#app.removeAllContentTypeParsers();
    this.#app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) =>
      done(null, body),
    );
    this.#app.setErrorHandler((error, request, reply) => this.#refuse(error, request, reply));
    this.#app.addHook('onRequest', async (request, reply) => this.#begin(request, reply));
    // A client that keeps its connection would find out only when it is gone, and be waited for until then.
    this.#app.addHook('onSend', (_request, reply, _payload, done) => {
      if (components.readiness.draining) void reply.header('connection', 'close');
      done();
    });
    this.#app.all('/*', (request, reply) => this.#serve(request, reply));
    // A method that the HTTP library has no routes for.
    this.#app.setNotFoundHandler((request, reply) => this.#serve(request, reply));
  }

  /** Resolves with the address in use. @throws the system's error when it cannot listen. */
  async start(): Promise<ListenAddress> {
    const { host, port } = this.#init.listen;
    await this.#app.listen({ host, port });
    return { host, port: (this.#app.server.address() as AddressInfo).port };
  }

  /** Stops accepting and resolves when what is in flight is answered, and sent. */
  async close(): Promise<void> {
    await this.#open.finish(this.#app.server);
    await this.#app.close();
  }

  /** Ends what {@link close} still waits for. */
  abort(): void {
    this.#app.server.closeAllConnections();
  }

  /** Before a body is read: who may not ask need not send one. */
  async #begin(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    this.#open.add(reply.raw);
    void reply.header(REQUEST_ID_HEADER, request.id);
    checkHost(request.raw);
    const { keys, restricted } = this.#components;
    const path = pathOf(request);
    const group = groupOfPath(path);
    if (group !== undefined) restricted.checkHttp(group, (name) => header(request.headers, name));
    if (!isProbe(path)) {
      callers.set(request, await keys.authenticate(request.headers.authorization));
    }
    if (this.#bodies.isAsking(request.raw)) this.#takeBody(request, reply);
    // What a body is says the path, not its type: tensors come as JSON, octets and no type at all. The library refuses what it cannot read.
    request.raw.headers['content-type'] = ANY_TYPE;
  }

  /** @throws {GatewayRefusal} when it would be too large. */
  #takeBody({ raw }: FastifyRequest, reply: FastifyReply): void {
    const { maxBodyBytes } = this.#init;
    if (Number(raw.headers['content-length'] ?? 0) > maxBodyBytes) throw tooLarge(maxBodyBytes);
    this.#bodies.take(raw, reply.raw);
  }

  async #serve(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { headers, method } = request;
    const leaving = new AbortController();
    reply.raw.once('close', () => {
      if (!reply.raw.writableFinished) {
        leaving.abort(new DOMException('the client went away', 'AbortError'));
      }
    });
    const sent = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    const { api, openai } = this.#components;
    const path = pathOf(request);
    const answer = await (isOpenAiPath(path) ? openai : api).answer({
      // Of an answer to HEAD, which load balancers ask for health with, Node sends no body.
      method: method === 'HEAD' ? 'GET' : method,
      path,
      headers,
      body: await decodeBody(sent, headers['content-encoding'], this.#init.maxBodyBytes),
      caller: callers.get(request) ?? ANYBODY,
      requestId: request.id,
      signal: leaving.signal,
    });
    return this.#send(request, reply, answer);
  }

  async #send(
    { id: requestId, headers }: FastifyRequest,
    reply: FastifyReply,
    { status, headers: more, body }: RestAnswer,
  ): Promise<FastifyReply> {
    const { readerTimeoutMs } = this.#init;
    // From now on, not while the model runs: a client that takes nothing would keep the answer in memory.
    reply.raw.setTimeout(readerTimeoutMs, () => {
      this.#components.logger.debug({ requestId }, `no answer was read for ${readerTimeoutMs} ms`);
      reply.raw.destroy();
    });
    const accepted = headers['accept-encoding'];
    if (!Buffer.isBuffer(body)) return reply.code(status).headers(more).send(body);
    const encoding = selectEncoding(
      Array.isArray(accepted) ? accepted.join(',') : accepted,
      body.byteLength,
    );
    if (encoding !== undefined) void reply.header('content-encoding', encoding);
    return reply
      .code(status)
      .headers(more)
      .send(encoding === undefined ? body : await encodeBody(body, encoding));
  }

  async #refuse(
    error: unknown,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<FastifyReply> {
    const failure = failureOf(fromFastify(error, this.#init.maxBodyBytes));
    this.#log(failure, error, request);
    // Its body may follow or not, so that what comes next on the connection is no request for sure.
    if (this.#bodies.isAsking(request.raw)) void reply.header('connection', 'close');
    const path = pathOf(request);
    const { status, body, headers } = isOpenAiPath(path)
      ? formatOpenAiError(failure, path)
      : { status: httpStatus(failure.kind), ...jsonBody({ error: failure.message }) };
    if (failure.retryAfterMs !== undefined) {
      void reply.header('retry-after', String(Math.max(1, Math.ceil(failure.retryAfterMs / 1000))));
    }
    return reply
      .code(status)
      .headers({ ...headers, ...failure.headers })
      .send(body);
  }

  /** Never a payload; a stack only of what is a bug. */
  #log({ kind, message }: Failure, error: unknown, { id, method, url }: FastifyRequest): void {
    const fields = { requestId: id, method, url: url.slice(0, 500), kind };
    if (kind === 'internal') this.#components.logger.error({ ...fields, err: error }, message);
    else this.#components.logger.debug(fields, message);
  }
}

/** @param refuse answers a request that comes to no route, since its path has a broken escape. */
function createApp(
  { maxBodyBytes, tls }: HttpServerInit,
  refuse: (error: Error, request: FastifyRequest, reply: FastifyReply) => void,
): FastifyInstance {
  const bounds = {
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: HEADERS_TIMEOUT_MS,
    connectionsCheckingInterval: LATE_LOOK_MS,
    // Node's own refusal has no body and no id.
    requireHostHeader: false,
  };
  const options = {
    bodyLimit: maxBodyBytes,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: 'idle',
    // A request that is here when the server closes is answered, not refused.
    return503OnClosing: false,
    genReqId: ({ headers }: { headers: IncomingHttpHeaders }) =>
      requestIdOf(headers[REQUEST_ID_HEADER]),
    frameworkErrors: refuse,
    clientErrorHandler: refuseUnread,
  } as const;
  if (tls === undefined) return fastify({ ...options, http: bounds });
  const app = fastify({ ...options, https: { ...bounds, ...tls.pair } });
  tls.onChange((pair) => app.server.setSecureContext(pair));
  return app;
}

/** @throws {GatewayRefusal} when the header that HTTP/1.1 asks for is not there. */
function checkHost({ httpVersion, headers }: IncomingMessage): void {
  if (headers.host !== undefined || httpVersion !== '1.1') return;
  throw new GatewayRefusal(
    'invalid',
    'header host is missing, expected one in a request of HTTP/1.1',
  );
}

/** The path as it was sent: escapes in a model's name are its own. A proxy may send the server's name before it. */
function pathOf({ url }: FastifyRequest): string {
  const path = url.startsWith('/') ? url : url.replace(/^https?:\/\/[^/?#]*/i, '');
  return path.split('?', 1)[0] ?? path;
}

/** The group of the API that a path is of, in either form; undefined where there is nothing. */
function groupOfPath(path: string): ApiGroup | undefined {
  if (isOpenAiPath(path)) return openAiGroupOf(path);
  const route = parseRestPath(path);
  return route === undefined ? undefined : groupOf(route);
}

function tooLarge(maxBodyBytes: number): GatewayRefusal {
  return new GatewayRefusal(
    'too-large',
    `request has more than ${maxBodyBytes} bytes, expected at most that many (--max-body-bytes)`,
  );
}

/** What the HTTP library refuses by itself, as ours. */
function fromFastify(error: unknown, maxBodyBytes: number): unknown {
  const { code, statusCode, message } = error as {
    code?: string;
    statusCode?: number;
    message?: string;
  };
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return tooLarge(maxBodyBytes);
  }
  // Before its body was whole: nobody's fault here, and nobody reads the answer.
  if (code === 'ECONNRESET') return new GatewayRefusal('cancelled', 'the client went away');
  const known = code?.startsWith('FST_') === true && statusCode !== undefined && statusCode < 500;
  return known ? new GatewayRefusal('invalid', message ?? 'bad request') : error;
}
