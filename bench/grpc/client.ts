/** Callers of ModelInfer in one process, of one connection: the same for each server, and of grpc-js, the messages ready-made and the answers unread. */
import { Client, credentials } from '@grpc/grpc-js';
import type { ServiceDefinition } from '@grpc/proto-loader';
import { INFERENCE_SERVICE, loadDefinitions } from '../../src/gateway/grpc/grpc-definition.ts';
import { type Measurement, measure } from '../rpc/measure.ts';
import { answerQuestions } from '../worker.ts';

export interface GrpcLoad {
  /** `127.0.0.1:<port>` */
  readonly address: string;
  readonly payloadBytes: number;
  readonly inFlight: number;
  readonly seconds: number;
}

export type GrpcClientQuestions = {
  readonly load: { readonly ask: GrpcLoad; readonly answer: Measurement };
};

const asIs = (bytes: Buffer): Buffer => bytes;

async function load({ address, payloadBytes, ...options }: GrpcLoad): Promise<Measurement> {
  const { ModelInfer } = loadDefinitions()[INFERENCE_SERVICE] as ServiceDefinition;
  if (ModelInfer === undefined) throw new Error('expected a method ModelInfer, found none');
  const { path, requestSerialize, responseDeserialize } = ModelInfer;
  const message = requestSerialize({
    model_name: 'bench',
    inputs: [{ name: 'x', datatype: 'UINT8', shape: [payloadBytes] }],
    raw_input_contents: [Buffer.alloc(payloadBytes, 7)],
  });
  const client = new Client(address, credentials.createInsecure());
  const call = async (): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(path, asIs, asIs, message, (error, answer) =>
        answer === undefined ? reject(error ?? new Error('no answer')) : resolve(answer),
      );
    });
  try {
    const first = await call();
    const read = responseDeserialize(first) as { readonly raw_output_contents: readonly Buffer[] };
    const found = read.raw_output_contents[0];
    if (found?.every((byte) => byte === 7) !== true || found.byteLength === 0) {
      throw new Error(`${address} answered with other bytes than were sent`);
    }
    return await measure({ call }, message, first.byteLength, options);
  } finally {
    client.close();
  }
}

answerQuestions<GrpcClientQuestions>({ load }, async () => undefined);
