import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { createCertificate, SERVER_NAME, UNVERIFIED } from './certificate.ts';
import type { RpcService } from './service.ts';
import type { RpcClient, RpcServer, Transport } from './transport.ts';

/** HTTP/1.1 with keep-alive: one connection for each request under way. */
export const httpTransport: Transport = {
  async serve(service) {
    return listen(http.createServer(respond(service)));
  },
  async connect(address) {
    const agent = new http.Agent({ keepAlive: true });
    return createClient(http.request, agent, address);
  },
};

export const httpsTransport: Transport = {
  async serve(service) {
    const { cert, key } = await createCertificate();
    return listen(https.createServer({ cert, key }, respond(service)));
  },
  async connect(address) {
    const agent = new https.Agent({ keepAlive: true, servername: SERVER_NAME, ...UNVERIFIED });
    return createClient(https.request, agent, address);
  },
};

function respond(service: RpcService): http.RequestListener {
  return (request, response) => {
    readBody(request, (payload) => {
      service.answer(payload).then(
        (reply) => {
          response.writeHead(200, { 'content-length': reply.byteLength });
          response.end(reply);
        },
        (error: Error) => response.destroy(error),
      );
    });
  };
}

async function listen(server: http.Server | https.Server): Promise<RpcServer> {
  // While others are measured connections idle for longer than the default of 5 s; closing one races with its next request.
  server.keepAliveTimeout = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    address: String(port),
    close: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

function createClient(request: typeof http.request, agent: http.Agent, port: string): RpcClient {
  return {
    call: async (payload) => {
      const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
      const options = {
        agent,
        host: '127.0.0.1',
        port,
        method: 'POST',
        path: '/',
        headers: { 'content-length': payload.byteLength },
      };
      const sent = request(options, (response) => {
        if (response.statusCode === 200) readBody(response, resolve);
        else reject(new Error(`expected HTTP status 200, found ${response.statusCode}`));
      });
      sent.on('error', reject);
      sent.end(payload);
      return promise;
    },
    close: async () => agent.destroy(),
  };
}

/** The whole body in one piece, allocated once by its announced length. */
function readBody(message: http.IncomingMessage, callback: (body: Buffer) => void): void {
  const length = Number(message.headers['content-length']);
  let body: Buffer | undefined;
  let bytes = 0;
  message.on('data', (chunk: Buffer) => {
    if (body === undefined && chunk.byteLength === length) {
      body = chunk;
      bytes = length;
      return;
    }
    body ??= Buffer.allocUnsafe(length);
    bytes += chunk.copy(body, bytes);
  });
  message.on('end', () => callback(body ?? Buffer.alloc(0)));
}
