import type { Datatype } from '../../protocols/datatype.ts';
import { GrpcCaller, type GrpcMessage } from './grpc-caller.ts';
import type { TestGateway } from './test-gateway.ts';
import { binaryRequest } from './binary-request.ts';

export interface TritonReply {
  readonly status: number;
  readonly headers: Headers;
  /** The JSON, without the bytes after it. */
  readonly json: Readonly<Record<string, unknown>>;
  /** What comes after the JSON. */
  readonly tail: Buffer;
}

/** What came back of a tensor that was sent. */
export interface SeenTensor {
  readonly shape: readonly number[];
  readonly bytes: Buffer;
}

/** Asks a gateway as Triton's own tests do, over both protocols; ends with its scope. */
export class TritonCaller implements Disposable {
  readonly grpc: GrpcCaller;
  readonly #http: string;

  constructor({ http, grpc }: Pick<TestGateway, 'http' | 'grpc'>) {
    this.#http = http;
    this.grpc = new GrpcCaller(grpc);
  }

  /** An object goes as JSON, text and bytes as they are. */
  async post(
    path: string,
    body: object | string | Uint8Array<ArrayBuffer> | ReadableStream,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<TritonReply> {
    const asIs = typeof body === 'string' || body instanceof Uint8Array;
    const isStream = body instanceof ReadableStream;
    const response = await fetch(this.#http + path, {
      method: 'POST',
      headers: { 'accept-encoding': 'identity', ...headers },
      body: asIs || isStream ? body : JSON.stringify(body),
      ...(isStream ? { duplex: 'half' as const } : {}),
    });
    return readReply(response);
  }

  async get(path: string, init: RequestInit = {}): Promise<TritonReply> {
    return readReply(await fetch(this.#http + path, init));
  }

  /** Runs a model of one input `x`, which goes and comes back as bytes. */
  async identityOverHttp(
    model: string,
    tensor: { readonly datatype: Datatype } & SeenTensor,
  ): Promise<SeenTensor> {
    const { body, headers } = binaryRequest(tensor);
    const reply = await this.post(`/v2/models/${model}/infer`, body, headers);
    if (reply.status !== 200) throw new Error(String(reply.json['error']));
    const [output] = reply.json['outputs'] as [{ readonly shape: readonly number[] }];
    return { shape: output.shape, bytes: reply.tail };
  }

  /** The same over gRPC, whose status it rejects with. */
  async identityOverGrpc(
    model: string,
    { datatype, shape, bytes }: { readonly datatype: Datatype } & SeenTensor,
  ): Promise<SeenTensor> {
    const answer = (await this.grpc.call('ModelInfer', {
      model_name: model,
      inputs: [{ name: 'x', datatype, shape }],
      raw_input_contents: [bytes],
    })) as GrpcMessage & { outputs: [{ shape: string[] }]; raw_output_contents: [Buffer] };
    const [output] = answer.outputs;
    return { shape: output.shape.map(Number), bytes: answer.raw_output_contents[0] };
  }

  [Symbol.dispose](): void {
    this.grpc[Symbol.dispose]();
  }
}

async function readReply(response: Response): Promise<TritonReply> {
  const { status, headers } = response;
  const body = Buffer.from(await response.arrayBuffer());
  const length = Number(headers.get('inference-header-content-length') ?? body.byteLength);
  const text = body.subarray(0, length).toString();
  const json = text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : {};
  return { status, headers, json, tail: body.subarray(length) };
}
