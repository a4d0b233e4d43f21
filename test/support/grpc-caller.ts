import {
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import type { MethodDefinition, ServiceDefinition } from '@grpc/proto-loader';
import { SCALER_SERVICE } from '../../src/fleet/scaler-definition.ts';
import {
  HEALTH_SERVICE,
  INFERENCE_SERVICE,
  loadDefinitions,
} from '../../src/gateway/grpc/grpc-definition.ts';

const DEADLINE_MS = 20_000;

const asIs = (bytes: Buffer): Buffer => bytes;

/** `list_services` of a ServerReflectionRequest, its field 7, as an empty text. */
const LIST_SERVICES = Buffer.of(0x3a, 0x00);

export interface GrpcCallOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

type Method = MethodDefinition<object, object>;

/** Calls the gateway's gRPC services by the names of their methods; ends with its scope. */
export class GrpcCaller implements Disposable {
  readonly #client: Client;
  readonly #services: readonly ServiceDefinition[];

  constructor(
    address: string,
    channel = credentials.createInsecure(),
    options: ChannelOptions = {},
  ) {
    this.#client = new Client(address, channel, {
      'grpc.max_receive_message_length': -1,
      ...options,
    });
    const definitions = loadDefinitions();
    this.#services = [INFERENCE_SERVICE, HEALTH_SERVICE, SCALER_SERVICE].map(
      (name) => definitions[name] as ServiceDefinition,
    );
  }

  /** Rejects with the status, its `code` and `details`. */
  async call(name: string, request: object, options: GrpcCallOptions = {}): Promise<GrpcMessage> {
    const { path, requestSerialize, responseDeserialize } = this.#method(name);
    const { metadata, deadlineMs = DEADLINE_MS, signal } = options;
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        toMetadata(metadata),
        { deadline: Date.now() + deadlineMs },
        (error: ServiceError | null, response?: object) =>
          error === null ? resolve((response ?? {}) as GrpcMessage) : reject(error),
      );
      signal?.addEventListener('abort', () => call.cancel(), { once: true });
    });
  }

  /** Sends these bytes as the message of a call. Rejects as {@link call}. */
  async callBytes(name: string, bytes: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        this.#method(name).path,
        asIs,
        asIs,
        bytes,
        new Metadata(),
        { deadline: Date.now() + DEADLINE_MS },
        (error: ServiceError | null, response?: Buffer) =>
          error === null ? resolve(response ?? Buffer.alloc(0)) : reject(error),
      );
    });
  }

  /** A stream both ways whose requests are sent as these bytes. */
  streamBytes(name: string): ClientDuplexStream<Buffer, GrpcMessage> {
    const { path, responseDeserialize } = this.#method(name);
    return this.#client.makeBidiStreamRequest(path, asIs, responseDeserialize, new Metadata(), {
      deadline: Date.now() + DEADLINE_MS,
    }) as ClientDuplexStream<Buffer, GrpcMessage>;
  }

  /** The request id with which a call is answered, whatever comes of it. */
  async requestId(name: string, request: object, options: GrpcCallOptions = {}): Promise<unknown> {
    const { path, requestSerialize, responseDeserialize } = this.#method(name);
    return new Promise((resolve) => {
      const call = this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        toMetadata(options.metadata),
        { deadline: Date.now() + DEADLINE_MS },
        () => resolve(undefined),
      );
      call.once('metadata', (metadata) => resolve(metadata.get('x-request-id')[0]));
    });
  }

  /** What the server tells of its services by reflection, as bytes. */
  async reflection(): Promise<Buffer> {
    const call = this.#client.makeBidiStreamRequest(
      '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
      (request: Buffer) => request,
      (response: Buffer) => response,
      new Metadata(),
      { deadline: Date.now() + DEADLINE_MS },
    );
    call.end(LIST_SERVICES);
    const answers: Buffer[] = [];
    for await (const answer of call) answers.push(answer as Buffer);
    return Buffer.concat(answers);
  }

  /** A request as it goes over the wire: not compressed, its length, its bytes. */
  encode(name: string, request: object): Buffer {
    const bytes = this.#method(name).requestSerialize(request);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(bytes.byteLength, 1);
    return Buffer.concat([head, bytes]);
  }

  /** A stream both ways. */
  stream(
    name: string,
    { metadata, deadlineMs = DEADLINE_MS }: GrpcCallOptions = {},
  ): ClientDuplexStream<object, GrpcMessage> {
    const { path, requestSerialize, responseDeserialize } = this.#method(name);
    return this.#client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      toMetadata(metadata),
      { deadline: Date.now() + deadlineMs },
    ) as ClientDuplexStream<object, GrpcMessage>;
  }

  /** The messages of a method that answers with a stream. */
  watch(name: string, request: object): AsyncIterable<GrpcMessage> & { cancel(): void } {
    const { path, requestSerialize, responseDeserialize } = this.#method(name);
    return this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      new Metadata(),
      { deadline: Date.now() + DEADLINE_MS },
    ) as AsyncIterable<GrpcMessage> & { cancel(): void };
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  #method(name: string): Method {
    for (const service of this.#services) {
      if (Object.hasOwn(service, name)) return service[name] as Method;
    }
    throw new Error(`there is no method ${name}`);
  }
}

/** A message as tests look into it. */
export type GrpcMessage = Readonly<Record<string, never>>;

function toMetadata(entries: Readonly<Record<string, string>> = {}): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(entries)) metadata.set(name, value);
  return metadata;
}
