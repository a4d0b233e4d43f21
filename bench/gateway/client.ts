/** Callers in one process: each sends when it was answered, over connections that stay. */
import { Agent, request } from 'node:http';
import { Client, credentials } from '@grpc/grpc-js';
import type { ServiceDefinition } from '@grpc/proto-loader';
import { INFERENCE_SERVICE, loadDefinitions } from '../../src/gateway/grpc/grpc-definition.ts';
import { type Measurement, measure } from '../rpc/measure.ts';
import { answerQuestions } from '../worker.ts';
import { WIDTH } from './models.ts';

/** In which form a server is asked: by name of what asks so. */
export const FORMS = ['json', 'binary', 'grpc', 'octets', 'list'] as const;

export type Form = (typeof FORMS)[number];

export interface Load {
  /** Where this model is answered: an address of HTTP, of gRPC `host:port`. */
  readonly address: string;
  /** Of gRPC alone, whose address does not name it. */
  readonly model: string;
  readonly form: Form;
  readonly callers: number;
  readonly seconds: number;
}

export type LoadQuestions = {
  readonly load: { readonly ask: Load; readonly answer: Measurement };
};

const X = Float32Array.from({ length: WIDTH }, (_, index) => Math.sin(index));
const X_BYTES = Buffer.from(X.buffer);

const agent = new Agent({ keepAlive: true });

/** One row of the model, as each form has it. */
function bodyOf(form: Form): { readonly body: Buffer; readonly headers: Record<string, string> } {
  const head = { name: 'x', datatype: 'FP32', shape: [1, WIDTH] };
  const json = { 'content-type': 'application/json' };
  switch (form) {
    case 'binary': {
      const parameters = { binary_data_size: X_BYTES.byteLength };
      const text = Buffer.from(
        JSON.stringify({
          inputs: [{ ...head, parameters }],
          parameters: { binary_data_output: true },
        }),
      );
      return {
        body: Buffer.concat([text, X_BYTES]),
        headers: { 'inference-header-content-length': String(text.byteLength) },
      };
    }
    case 'octets':
      return { body: X_BYTES, headers: { 'content-type': 'application/octet-stream' } };
    case 'list':
      return { body: Buffer.from(JSON.stringify({ x: [Array.from(X)] })), headers: json };
    default: {
      const inputs = [{ ...head, data: Array.from(X) }];
      return { body: Buffer.from(JSON.stringify({ inputs })), headers: json };
    }
  }
}

function httpCaller({ address, form }: Load): () => Promise<Buffer> {
  const { body, headers } = bodyOf(form);
  return async () =>
    new Promise((resolve, reject) => {
      const all = { ...headers, 'content-length': String(body.byteLength) };
      const sent = request(address, { method: 'POST', agent, headers: all }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => {
          const answer = Buffer.concat(chunks);
          if (response.statusCode === 200) resolve(answer);
          else reject(new Error(`${address}: ${response.statusCode} ${answer.toString()}`));
        });
      });
      sent.once('error', reject);
      sent.end(body);
    });
}

function grpcCaller({ address, model }: Load): {
  readonly call: () => Promise<Buffer>;
  readonly close: () => void;
} {
  const { ModelInfer } = loadDefinitions()[INFERENCE_SERVICE] as ServiceDefinition;
  if (ModelInfer === undefined) throw new Error('expected a method ModelInfer, found none');
  const { path, requestSerialize } = ModelInfer;
  const message = requestSerialize({
    model_name: model,
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, WIDTH] }],
    raw_input_contents: [X_BYTES],
  });
  const client = new Client(address, credentials.createInsecure());
  const asIs = (bytes: Buffer): Buffer => bytes;
  return {
    close: () => client.close(),
    call: async () =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(path, asIs, asIs, message, (error, reply) =>
          reply === undefined ? reject(error ?? new Error('no answer')) : resolve(reply),
        );
      }),
  };
}

async function load(asked: Load): Promise<Measurement> {
  const grpc = asked.form === 'grpc' ? grpcCaller(asked) : undefined;
  const call = grpc?.call ?? httpCaller(asked);
  // Of text, answers to the same row may differ in length: that each has the numbers of a row is looked at here.
  const checked = {
    call: async () => {
      const { byteLength } = await call();
      if (byteLength >= X_BYTES.byteLength) return X_BYTES;
      throw new Error(
        `${asked.address}: answer has ${byteLength} bytes, expected at least ${X_BYTES.byteLength}`,
      );
    },
  };
  const { callers: inFlight, seconds } = asked;
  try {
    return await measure(checked, X_BYTES, X_BYTES.byteLength, { inFlight, seconds });
  } finally {
    grpc?.close();
  }
}

answerQuestions<LoadQuestions>({ load }, async () => agent.destroy());
