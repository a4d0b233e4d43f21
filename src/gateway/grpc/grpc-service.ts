import type {
  Metadata,
  ServerDuplexStream,
  ServerUnaryCall,
  sendUnaryData,
  status,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { ANYBODY, type ApiKeys, type Caller, checkMayUse } from '../access/api-keys.ts';
import type { ApiGroup, RestrictedGroups } from '../access/restricted-groups.ts';
import type { ApiComponents } from '../api-components.ts';
import { describeConfig, describeModel } from '../models/model-description.ts';
import type { ServedModel } from '../models/model-directory.ts';
import type { RepositoryCall } from '../models/model-repository.ts';
import { type Failure, failureOf, GatewayRefusal, grpcStatus } from '../refusal.ts';
import { describeServer } from '../server-description.ts';
import { CallReader } from './call-reader.ts';
import type {
  GrpcInferRequest,
  GrpcInferResponse,
  GrpcModelRequest,
  GrpcRepositoryRequest,
  GrpcStreamResponse,
} from './grpc-messages.ts';
import { formatGrpcResponse, parametersOf, parseGrpcRequest } from './grpc-request.ts';
import { answerRequestId, requestIdOfCall, sendRequestId } from './grpc-request-id.ts';
import { InferenceStream } from './grpc-stream.ts';
import { checkRead } from './unread-message.ts';

const SHARED_MEMORY_METHODS = ['System', 'Cuda'].flatMap((kind) =>
  ['Status', 'Register', 'Unregister'].map((what) => `${kind}SharedMemory${what}`),
);

/** Why a call ends that its caller leaves. One for all: the library says so of each call that has ended, answered ones too. */
const CANCELLED = new DOMException('the call was cancelled', 'AbortError');

export interface GrpcServiceComponents extends ApiComponents {
  readonly keys: ApiKeys;
  readonly restricted: RestrictedGroups;
  /** Milliseconds for which a caller may take nothing of its answers. */
  readonly readerTimeoutMs: number;
  /** Told of each failure, with what was thrown. */
  readonly onFailure: (failure: Failure, error: unknown, requestId: string) => void;
}

/** What is known of a call beside its message. */
export interface GrpcCall {
  readonly caller: Caller;
  readonly metadata: Metadata;
  /** The caller's own where it gave one. */
  readonly requestId: string;
  /** Milliseconds since the epoch; infinite when the caller set none. */
  readonly deadlineAtMs: number;
  readonly signal: AbortSignal;
}

/** What calls of one message and of many have in common. */
interface AnyCall {
  readonly metadata: Metadata;
  readonly cancelled: boolean;
  getDeadline(): Date | number;
  sendMetadata(metadata: Metadata): void;
  once(event: 'cancelled', listener: () => void): unknown;
}

/** The Open Inference Protocol over gRPC: each call as the library hands it in. */
export class GrpcService {
  readonly #components: GrpcServiceComponents;
  readonly #streams = new Set<InferenceStream>();

  constructor(components: GrpcServiceComponents) {
    this.#components = components;
  }

  /** The methods by the names of `open_inference.proto`. */
  get implementation(): UntypedServiceImplementation {
    const { readiness, version, statistics, repository } = this.#components;
    return {
      ServerLive: this.#unary('health', async () => ({ live: true }), 'open'),
      ServerReady: this.#unary('health', async () => ({ ready: readiness.ready }), 'open'),
      ServerMetadata: this.#unary('metadata', async () => describeServer(version)),
      ModelReady: this.#unary<GrpcModelRequest>('health', async (request, call) => {
        const { cid } = await this.#find(request, call);
        return { ready: this.#components.access.client.servable(cid).length > 0 };
      }),
      ModelMetadata: this.#unary<GrpcModelRequest>('metadata', async (request, call) =>
        describeModel(await this.#find(request, call)),
      ),
      ModelConfig: this.#unary<GrpcModelRequest>('model-config', async (request, call) => ({
        config: describeConfig(await this.#find(request, call)),
      })),
      ModelStatistics: this.#unary<GrpcModelRequest>('statistics', async (request, call) => ({
        model_stats:
          request.name === ''
            ? statistics.all().filter(({ name }) => call.caller.mayUse(name))
            : [statistics.of(await this.#find(request, call))],
      })),
      RepositoryIndex: this.#unary<{ readonly ready: boolean }>(
        'model-repository',
        async ({ ready }, { caller, signal }) => ({
          models: await repository.index(caller, { ready, signal }),
        }),
      ),
      RepositoryModelLoad: this.#unary<GrpcRepositoryRequest>(
        'model-repository',
        async (request, call) => {
          await repository.load(changeOf(request, call));
          return {};
        },
      ),
      RepositoryModelUnload: this.#unary<GrpcRepositoryRequest>(
        'model-repository',
        async (request, call) => {
          await repository.unload(changeOf(request, call));
          return {};
        },
      ),
      ...this.#sharedMemory,
      ModelInfer: this.#unary<GrpcInferRequest>('inference', async (request, call) =>
        this.#infer(request, call),
      ),
      ModelStreamInfer: (stream: ServerDuplexStream<GrpcInferRequest, GrpcStreamResponse>) =>
        this.#stream(stream),
    };
  }

  /** Ends the streams that are open once what is in flight on them is answered. */
  async drain(): Promise<void> {
    await Promise.all([...this.#streams].map((stream) => stream.drain()));
  }

  /** Client and node are different machines: each of its methods says so. */
  get #sharedMemory(): UntypedServiceImplementation {
    const refuse = this.#unary('shared-memory', () => {
      throw new GatewayRefusal('unsupported', 'shared memory is not supported');
    });
    return Object.fromEntries(SHARED_MEMORY_METHODS.map((method) => [method, refuse]));
  }

  /** `door` is open where callers need no key. */
  #unary<Request>(
    group: ApiGroup,
    answer: (request: Request, call: GrpcCall) => Promise<object>,
    door: 'open' | 'key' = 'key',
  ) {
    return (call: ServerUnaryCall<Request, object>, reply: sendUnaryData<object>): void => {
      const requestId = requestIdOfCall(call);
      this.#readerOf(call, requestId);
      const answered = async (): Promise<object> => {
        const opened = await this.#open(call, { group, door, requestId });
        checkRead(call.request);
        return answer(call.request, opened);
      };
      // The headers go with the answer: sent ahead of it they are a packet, and a system call, of their own.
      const end: typeof reply = (...answer) => {
        sendRequestId(call, requestId);
        reply(...answer);
      };
      answered().then(
        (value) => end(null, value),
        (error: unknown) => end(this.#status(error, requestId)),
      );
    };
  }

  async #open(
    call: AnyCall,
    {
      group,
      door,
      requestId,
    }: { readonly group: ApiGroup; readonly door: 'open' | 'key'; readonly requestId: string },
  ): Promise<GrpcCall> {
    const { metadata } = call;
    const { keys, restricted } = this.#components;
    restricted.checkGrpc(group, (key) => metadata.get(key).map(String)[0]);
    const leaving = new AbortController();
    const leave = (): void => leaving.abort(CANCELLED);
    if (call.cancelled) leave();
    call.once('cancelled', leave);
    const [authorization] = metadata.get('authorization').map(String);
    const caller = door === 'key' ? await keys.authenticate(authorization) : ANYBODY;
    const deadlineAtMs = Number(call.getDeadline());
    return { caller, metadata, requestId, deadlineAtMs, signal: leaving.signal };
  }

  async #infer(
    request: GrpcInferRequest,
    { caller, metadata, requestId, deadlineAtMs, signal }: GrpcCall,
  ): Promise<GrpcInferResponse> {
    const answer = await this.#components.service.infer({
      protocol: 'grpc',
      model: request.model_name,
      version: request.model_version,
      caller,
      requestId,
      signal,
      deadlineMs: deadlineAtMs - Date.now(),
      traceHeaders: {
        traceparent: metadata.get('traceparent').map(String)[0],
        tracestate: metadata.get('tracestate').map(String).join(',') || undefined,
      },
      parse: ({ asked, manifest: { inputs, outputs } }) =>
        parseGrpcRequest(request, { model: asked, inputs, outputs }),
    });
    return formatGrpcResponse(answer);
  }

  #stream(stream: ServerDuplexStream<GrpcInferRequest, GrpcStreamResponse>): void {
    const requestId = answerRequestId(stream);
    const opened = this.#open(stream, { group: 'inference', door: 'open', requestId });
    const [authorization] = stream.metadata.get('authorization').map(String);
    const reader = this.#readerOf(stream, requestId);
    const handler = new InferenceStream(stream, {
      // Each request is of the key's rate, and a key that is revoked ends with the next.
      infer: async (request) => {
        const caller = await this.#components.keys.authenticate(authorization);
        return this.#infer(request, { ...(await opened), caller });
      },
      status: (error) => this.#status(error, requestId),
      readerTimeoutMs: this.#components.readerTimeoutMs,
      drop: () => reader.drop(),
      endsOnError: String(stream.metadata.get('triton_grpc_error')[0]) === 'true',
    });
    this.#streams.add(handler);
    opened.catch((error: unknown) => handler.fail(error));
    stream.once('close', () => this.#streams.delete(handler));
  }

  async #find({ name, version }: GrpcModelRequest, call: GrpcCall): Promise<ServedModel> {
    const found = await this.#components.directory.find(name, version, call);
    checkMayUse(call.caller, found.name);
    return found;
  }

  /** Has whoever takes nothing of a call's answers dropped. */
  #readerOf(call: object, requestId: string): CallReader {
    const { readerTimeoutMs: timeoutMs } = this.#components;
    const onLate = (): void => {
      const late = new GatewayRefusal('exhausted', `no answer was read for ${timeoutMs} ms`);
      this.#status(late, requestId);
    };
    return new CallReader(call, { timeoutMs, onLate });
  }

  #status(error: unknown, requestId: string): { readonly code: status; readonly details: string } {
    const failure = failureOf(error);
    this.#components.onFailure(failure, error, requestId);
    return { code: grpcStatus(failure.kind), details: failure.message };
  }
}

function changeOf(
  { model_name: model, parameters }: GrpcRepositoryRequest,
  { caller, signal }: GrpcCall,
): RepositoryCall {
  return { model, parameters: parametersOf(parameters), caller, signal };
}
