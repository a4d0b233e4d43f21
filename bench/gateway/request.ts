import type { ServiceDefinition } from '@grpc/proto-loader';
import { INFERENCE_SERVICE, loadDefinitions } from '../../src/gateway/grpc/grpc-definition.ts';
import { WIDTH } from './models.ts';

/** In which form a server is asked: by name of what asks so. */
export const FORMS = ['json', 'binary', 'grpc', 'octets', 'list'] as const;

export type Form = (typeof FORMS)[number];

/** What is asked, and where. */
export interface Asked {
  /** Where this model is answered: an address of HTTP, of gRPC `host:port`. */
  readonly address: string;
  /** Of gRPC alone, whose address does not name it. */
  readonly model: string;
  readonly form: Form;
}

const X = Float32Array.from({ length: WIDTH }, (_, index) => Math.sin(index));

/** The numbers of the row that every request has; an answer has as many. */
export const X_BYTES = Buffer.from(X.buffer);

/** One row of the model over HTTP, as each form has it. */
export function bodyOf(form: Form): {
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>>;
} {
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

/** The same row over gRPC: the method's path and its message. */
export function messageOf(model: string): { readonly path: string; readonly message: Buffer } {
  const { ModelInfer } = loadDefinitions()[INFERENCE_SERVICE] as ServiceDefinition;
  if (ModelInfer === undefined) throw new Error('expected a method ModelInfer, found none');
  const message = ModelInfer.requestSerialize({
    model_name: model,
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, WIDTH] }],
    raw_input_contents: [X_BYTES],
  });
  return { path: ModelInfer.path, message };
}
