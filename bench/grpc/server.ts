/** A server of ModelInfer by one library, in a process of its own: reads the whole message, answers with the first bytes of its first tensor. */
import { once } from 'node:events';
import { createServer, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { INFERENCE_SERVICE, loadDefinitions } from '../../src/gateway/grpc/grpc-definition.ts';
import { answerQuestions } from '../worker.ts';
import { compileMessages, loadConnect } from './connect-package.ts';
import type { Library } from './row.ts';

/** Bytes of an answer's tensor, at most. */
const MAX_REPLY_BYTES = 4096;

/** Bytes of one message: the libraries' own bounds are less than a large one. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

export type GrpcServerQuestions = {
  /** Answered with the address, `127.0.0.1:<port>`. */
  readonly serve: { readonly ask: Library; readonly answer: string };
  /** CPU microseconds of the process since it began. */
  readonly cpu: { readonly ask: null; readonly answer: number };
};

interface Request {
  readonly model_name: string;
  readonly raw_input_contents: readonly Uint8Array[];
}

const output = { name: 'y', datatype: 'UINT8' };

function reply([input = new Uint8Array()]: readonly Uint8Array[]) {
  const bytes = input.subarray(0, MAX_REPLY_BYTES);
  return { shape: bytes.byteLength, bytes };
}

let close = async (): Promise<void> => {};

async function serveGrpcJs(): Promise<string> {
  const server = new Server({ 'grpc.max_receive_message_length': MAX_MESSAGE_BYTES });
  server.addService(loadDefinitions()[INFERENCE_SERVICE] as ServiceDefinition, {
    ModelInfer: ({ request }: ServerUnaryCall<Request, object>, send: sendUnaryData<object>) => {
      const { shape, bytes } = reply(request.raw_input_contents);
      send(null, {
        model_name: request.model_name,
        outputs: [{ ...output, shape: [shape] }],
        raw_output_contents: [bytes],
      });
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  close = async () => server.forceShutdown();
  return `127.0.0.1:${port}`;
}

/** With the messages of the same file. */
async function serveConnect(): Promise<string> {
  const connect = await loadConnect();
  const messages = connect.fromBinary(connect.FileDescriptorSetSchema, await compileMessages());
  const registry = connect.createFileRegistry(messages);
  const service = registry.getService(INFERENCE_SERVICE);
  if (service === undefined)
    throw new Error(`expected ${INFERENCE_SERVICE}, found no such service`);
  const adapter = connect.connectNodeAdapter({
    ...{ readMaxBytes: MAX_MESSAGE_BYTES, writeMaxBytes: MAX_MESSAGE_BYTES },
    routes: (router) =>
      router.service(service, {
        modelInfer: ({
          modelName,
          rawInputContents,
        }: {
          readonly modelName: string;
          readonly rawInputContents: readonly Uint8Array[];
        }) => {
          const { shape, bytes } = reply(rawInputContents);
          return {
            modelName,
            outputs: [{ ...output, shape: [BigInt(shape)] }],
            rawOutputContents: [bytes],
          };
        },
      }),
  });
  const server: Http2Server = createServer((request, response) =>
    // It takes those of HTTP/2 as well, as its own types have it.
    adapter(request as never, response as never),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  close = async () => void server.close();
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

answerQuestions<GrpcServerQuestions>(
  {
    serve: async (library) => (library === 'grpc-js' ? serveGrpcJs() : serveConnect()),
    async cpu() {
      const { user, system } = process.cpuUsage();
      return user + system;
    },
  },
  async () => close(),
);
