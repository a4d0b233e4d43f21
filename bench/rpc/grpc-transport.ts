import {
  ChannelCredentials,
  Client,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { createCertificate, UNVERIFIED } from './certificate.ts';
import type { RpcService } from './service.ts';
import type { RpcClient, RpcServer, Transport } from './transport.ts';

/** Bytes of one message; the default of 4 MiB would do, this says that the payloads are meant to pass. */
const LIMITS = {
  'grpc.max_receive_message_length': 16 * 1024 * 1024,
  'grpc.max_send_message_length': 16 * 1024 * 1024,
};

const METHOD = '/bench.Rpc/Call';

const asIs = (bytes: Buffer): Buffer => bytes;

/** One unary method of plain bytes: no protobuf on either side, the fastest that grpc-js does. */
const DEFINITION = {
  call: {
    path: METHOD,
    requestStream: false as const,
    responseStream: false as const,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  },
};

export const grpcTransport: Transport = {
  serve: async (service) => listen(service, ServerCredentials.createInsecure()),
  connect: async (address) => createClient(address, ChannelCredentials.createInsecure()),
};

export const grpcTlsTransport: Transport = {
  async serve(service) {
    const { cert, key } = await createCertificate();
    const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) };
    return listen(service, ServerCredentials.createSsl(null, [pair]));
  },
  async connect(address) {
    return createClient(address, ChannelCredentials.createSsl(null, null, null, UNVERIFIED));
  },
};

async function listen(service: RpcService, credentials: ServerCredentials): Promise<RpcServer> {
  const server = new Server(LIMITS);
  server.addService(DEFINITION, {
    call: (call: ServerUnaryCall<Buffer, Buffer>, send: sendUnaryData<Buffer>) => {
      service.answer(call.request).then(
        (reply) => send(null, Buffer.from(reply.buffer, reply.byteOffset, reply.byteLength)),
        (error: Error) => send({ code: status.INTERNAL, details: error.message }),
      );
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return {
    address: `127.0.0.1:${port}`,
    close: async () => server.forceShutdown(),
  };
}

function createClient(address: string, credentials: ChannelCredentials): RpcClient {
  const client = new Client(address, credentials, LIMITS);
  return {
    call: async (payload) =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(METHOD, asIs, asIs, payload, (error, reply) => {
          if (reply !== undefined) resolve(reply);
          else reject(error ?? new Error('expected an answer or an error, found neither'));
        });
      }),
    close: async () => client.close(),
  };
}
