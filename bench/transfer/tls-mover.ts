import { createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { copyFile, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import tls from 'node:tls';
import { createCertificate, SERVER_NAME, UNVERIFIED } from '../rpc/certificate.ts';
import type { Mover } from './mover.ts';

/** Bytes of one read of the file that is sent: larger ones made no difference. */
const READ_BYTES = 256 * 1024;

/** The least that can be done: a file down one TLS socket into a file, synced, and one sha256 on the way. */
export const tlsMover: Mover = {
  async open({ folder }) {
    const held = path.join(folder, 'held');
    const fetched = path.join(folder, 'fetched');
    const { cert, key } = await createCertificate();
    const server = tls.createServer({ cert, key, noDelay: true }, (socket) => {
      // One byte asks for the file; a fetch that goes away takes the connection with it.
      socket.once('data', () => {
        pipeline(createReadStream(held, { highWaterMark: READ_BYTES }), socket).catch(() =>
          socket.destroy(),
        );
      });
      socket.on('error', () => socket.destroy());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    let socket: tls.TLSSocket | undefined;
    return {
      address: String((server.address() as AddressInfo).port),
      async hold(file) {
        await copyFile(file, held);
        return hashOf(held);
      },
      async connect([port]) {
        socket = tls.connect({
          host: '127.0.0.1',
          port: Number(port),
          servername: SERVER_NAME,
          ...UNVERIFIED,
        });
        await once(socket, 'secureConnect');
      },
      async fetch(reference) {
        if (socket === undefined) throw new Error('expected connect before each fetch');
        const hash = createHash('sha256');
        const counter = new HashingPassage(hash);
        socket.write('.');
        await pipeline(socket, counter, createWriteStream(fetched, { flush: true }));
        const found = hash.digest('hex');
        if (found === reference) return counter.bytes;
        throw new Error(`expected a file with sha256 ${reference}, found ${found}`);
      },
      forget: async () => rm(fetched, { force: true }),
      async close() {
        socket?.destroy();
        server.close();
      },
    };
  },
};

class HashingPassage extends Transform {
  readonly #hash: Hash;
  bytes = 0;

  constructor(hash: Hash) {
    super();
    this.#hash = hash;
  }

  override _transform(
    chunk: Buffer,
    _: BufferEncoding,
    callback: (error: Error | null, chunk: Buffer) => void,
  ): void {
    this.#hash.update(chunk);
    this.bytes += chunk.byteLength;
    callback(null, chunk);
  }
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
