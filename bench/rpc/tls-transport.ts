import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import { createCertificate, SERVER_NAME, UNVERIFIED } from './certificate.ts';
import type { Transport } from './transport.ts';

/** u32 length of the payload, u32 request id; little-endian. */
const HEADER_BYTES = 8;

/** Up to here header and payload are copied together: one write, one TLS record. */
const COALESCE_BYTES = 16 * 1024;

/** The least that can be done with a TLS connection: frames with an id, on one socket for all requests. */
export const tlsTransport: Transport = {
  async serve(service) {
    const { cert, key } = await createCertificate();
    const server = tls.createServer({ cert, key, noDelay: true }, (socket) => {
      // A client that goes away takes its requests with it.
      socket.on('error', () => socket.destroy());
      onFrame(socket, (id, payload) => {
        service.answer(payload).then(
          (reply) => sendFrame(socket, id, reply),
          (error: Error) => socket.destroy(error),
        );
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    return {
      address: String(port),
      close: async () => {
        server.close();
      },
    };
  },

  async connect(address) {
    const socket = tls.connect({
      host: '127.0.0.1',
      port: Number(address),
      servername: SERVER_NAME,
      ...UNVERIFIED,
    });
    socket.setNoDelay(true);
    await once(socket, 'secureConnect');
    const calls = new Map<number, PromiseWithResolvers<Uint8Array>>();
    let lastId = 0;
    onFrame(socket, (id, payload) => {
      calls.get(id)?.resolve(payload);
      calls.delete(id);
    });
    socket.on('close', () => {
      for (const { reject } of calls.values()) reject(new Error('socket closed'));
    });
    socket.on('error', () => socket.destroy());
    return {
      call: async (payload) => {
        lastId = (lastId + 1) >>> 0;
        const call = Promise.withResolvers<Uint8Array>();
        calls.set(lastId, call);
        sendFrame(socket, lastId, payload);
        return call.promise;
      },
      close: async () => {
        socket.destroy();
      },
    };
  },
};

function sendFrame(socket: tls.TLSSocket, id: number, payload: Uint8Array): void {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt32LE(payload.byteLength, 0);
  header.writeUInt32LE(id, 4);
  if (payload.byteLength <= COALESCE_BYTES) {
    socket.write(Buffer.concat([header, payload]));
    return;
  }
  socket.cork();
  socket.write(header);
  socket.write(payload);
  socket.uncork();
}

/** Calls back with each frame's payload in one piece. */
function onFrame(socket: tls.TLSSocket, callback: (id: number, payload: Buffer) => void): void {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  let headerBytes = 0;
  let payload: Buffer | undefined;
  let payloadBytes = 0;
  socket.on('data', (chunk: Buffer) => {
    let offset = 0;
    while (offset < chunk.byteLength) {
      if (payload === undefined) {
        const copied = chunk.copy(header, headerBytes, offset);
        headerBytes += copied;
        offset += copied;
        if (headerBytes < HEADER_BYTES) return;
        const length = header.readUInt32LE(0);
        if (offset + length <= chunk.byteLength) {
          headerBytes = 0;
          callback(header.readUInt32LE(4), chunk.subarray(offset, offset + length));
          offset += length;
          continue;
        }
        payload = Buffer.allocUnsafe(length);
        payloadBytes = 0;
      }
      const copied = chunk.copy(payload, payloadBytes, offset);
      payloadBytes += copied;
      offset += copied;
      if (payloadBytes === payload.byteLength) {
        const whole = payload;
        payload = undefined;
        headerBytes = 0;
        callback(header.readUInt32LE(4), whole);
      }
    }
  });
}
