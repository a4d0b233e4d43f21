import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { generateKeyPair } from '@libp2p/crypto/keys';
import type {
  ConnectionEncrypter,
  MessageStream,
  MultiaddrConnection,
  PrivateKey,
  SecuredConnection,
  StreamMuxerFactory,
  Upgrader,
} from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { tls } from '@libp2p/tls';
import { generateCertificate } from '@libp2p/tls/utils';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { lazyYamux } from '../../../../src/swarm/lazy-yamux.ts';
import { nativeTls } from '../../../../src/swarm/native-tls.ts';
import { TlsStream } from '../../../../src/swarm/tls-stream.ts';
import {
  listenTcp,
  rawServer,
  rawSocket,
  SILENT,
  type TcpEnds,
} from '../../../support/tcp-pair.ts';

const WAIT = { interval: 2, timeout: 10_000 };
const KIB = 1024;
const MIB = 1024 * KIB;

interface Peer {
  readonly key: PrivateKey;
  readonly native: ConnectionEncrypter;
  readonly stock: ConnectionEncrypter;
}

const MUXER = lazyYamux()();

async function createPeer(muxers: readonly StreamMuxerFactory[] = [MUXER]): Promise<Peer> {
  const key = await generateKeyPair('Ed25519');
  const getStreamMuxers = () => new Map(muxers.map((muxer) => [muxer.protocol, muxer]));
  const components = {
    privateKey: key,
    logger: SILENT,
    upgrader: { getStreamMuxers } as unknown as Upgrader,
  };
  return { key, native: nativeTls()(components), stock: tls()(components) };
}

/** Bytes that have come from a stream so far. */
function collect(stream: MessageStream): { bytes: number; readonly chunks: Uint8Array[] } {
  const collected = { bytes: 0, chunks: [] as Uint8Array[] };
  stream.addEventListener('message', ({ data }) => {
    collected.bytes += data.byteLength;
    collected.chunks.push(data.subarray());
  });
  return collected;
}

let ends: TcpEnds;
let dialer: Peer;
let listener: Peer;

beforeEach(async () => {
  [ends, dialer, listener] = await Promise.all([listenTcp(), createPeer(), createPeer()]);
});

afterEach(async () => {
  await ends[Symbol.asyncDispose]();
});

async function connected(): Promise<
  readonly [outbound: MultiaddrConnection, inbound: MultiaddrConnection]
> {
  const outbound = await ends.dial();
  return [outbound, await ends.accept()];
}

interface Secured {
  readonly outbound: SecuredConnection;
  readonly inbound: SecuredConnection;
  readonly connections: readonly [outbound: MultiaddrConnection, inbound: MultiaddrConnection];
}

async function secured(
  out: ConnectionEncrypter = dialer.native,
  into: ConnectionEncrypter = listener.native,
): Promise<Secured> {
  const connections = await connected();
  const signal = AbortSignal.timeout(10_000);
  const [outbound, inbound] = await Promise.all([
    out.secureOutbound(connections[0], { signal }),
    into.secureInbound(connections[1], { signal }),
  ]);
  return { outbound, inbound, connections };
}

/** Both ends are gone, with their sockets. */
async function expectClosed(...connections: readonly MessageStream[]): Promise<void> {
  await vi.waitFor(() => {
    for (const { status } of connections) expect(status).not.toMatch(/open|closing/);
    expect(process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap')).toEqual([]);
  }, WAIT);
}

describe('nativeTls', () => {
  it('has the protocol of the stock module', () => {
    expect(dialer.native.protocol).toBe(dialer.stock.protocol);
  });

  it.each([
    ['itself', (peer: Peer) => peer.native, (peer: Peer) => peer.native],
    ['the stock module as listener', (peer: Peer) => peer.native, (peer: Peer) => peer.stock],
    ['the stock module as dialer', (peer: Peer) => peer.stock, (peer: Peer) => peer.native],
  ])(
    'knows its peer by its key, agrees on a muxer and carries bytes both ways, with %s',
    async (_, out, into) => {
      const { outbound, inbound } = await secured(out(dialer), into(listener));
      expect(outbound.remotePeer?.equals(peerIdFromPrivateKey(listener.key))).toBe(true);
      expect(inbound.remotePeer?.equals(peerIdFromPrivateKey(dialer.key))).toBe(true);
      expect([outbound.streamMuxer?.protocol, inbound.streamMuxer?.protocol]).toEqual([
        MUXER.protocol,
        MUXER.protocol,
      ]);
      const sent = randomBytes(300 * KIB);
      const there = collect(inbound.connection);
      const back = collect(outbound.connection);
      inbound.connection.addEventListener('message', ({ data }) => inbound.connection.send(data));
      outbound.connection.send(sent);
      await vi.waitFor(() => expect(back.bytes).toBe(sent.byteLength), WAIT);
      for (const { chunks } of [there, back]) expect(Buffer.concat(chunks).equals(sent)).toBe(true);
      outbound.connection.abort(new Error('test is over'));
    },
  );

  it('puts TLS straight on the socket of a TCP connection', async () => {
    const { outbound, inbound, connections } = await secured();
    expect(outbound.connection).toBeInstanceOf(TlsStream);
    expect(inbound.connection).toBeInstanceOf(TlsStream);
    connections[0].abort(new Error('test is over'));
  });

  it('sends nothing once it is closed, and throws at nobody', async () => {
    const { outbound } = await secured();
    outbound.connection.abort(new Error('test is over'));
    expect(outbound.connection.send(Uint8Array.of(1))).toBe(false);
  });

  it('takes over what libp2p has read of the handshake already', async () => {
    const [outbound, inbound] = await connected();
    const securing = dialer.native.secureOutbound(outbound);
    await vi.waitFor(() => expect(inbound.readBufferLength).toBeGreaterThan(200), WAIT);
    const { remotePeer } = await listener.native.secureInbound(inbound);
    expect(remotePeer?.equals(peerIdFromPrivateKey(dialer.key))).toBe(true);
    await securing;
    outbound.abort(new Error('test is over'));
  });

  it('leaves the muxer to libp2p when neither side names one, and when told to', async () => {
    const plain = await createPeer([]);
    const without = await secured(plain.native, listener.native);
    expect([without.outbound.streamMuxer, without.inbound.streamMuxer]).toEqual([
      undefined,
      undefined,
    ]);
    const [outbound, inbound] = await connected();
    const skipped = await Promise.all([
      dialer.native.secureOutbound(outbound, { skipStreamMuxerNegotiation: true }),
      listener.native.secureInbound(inbound),
    ]);
    expect(skipped.map(({ streamMuxer }) => streamMuxer)).toEqual([undefined, undefined]);
    for (const connection of [outbound, without.connections[0]])
      connection.abort(new Error('test is over'));
  });

  it('refuses a peer that is not the one who was dialled, on both sides', async () => {
    const [outbound, inbound] = await connected();
    const other = peerIdFromPrivateKey(await generateKeyPair('Ed25519'));
    const [dialled, accepted] = await Promise.allSettled([
      dialer.native.secureOutbound(outbound, { remotePeer: other }),
      listener.native.secureInbound(inbound),
    ]);
    expect(dialled).toMatchObject({ reason: { name: 'UnexpectedPeerError' } });
    // The listener may have done its part by then: what it has ends with the connection.
    expect(['fulfilled', 'rejected']).toContain(accepted.status);
    await expectClosed(outbound, inbound);
  });

  it.each([
    ['shows no certificate', {}, /certificate/],
    ['speaks nothing newer than TLS 1.2', { maxVersion: 'TLSv1.2' }, /version|protocol|alert/i],
    ['offers another protocol', { ALPNProtocols: ['http/1.1'] }, /application protocol/],
  ] as const)('refuses a dialer that %s', async (_, changes, message) => {
    const stranger = await createPeer();
    const certificate =
      'ALPNProtocols' in changes || 'maxVersion' in changes
        ? await generateCertificate(stranger.key)
        : {};
    const socket = await rawSocket(ends.port);
    const client = connectTls({
      socket,
      rejectUnauthorized: false,
      ALPNProtocols: ['libp2p'],
      ...certificate,
      ...changes,
    });
    client.on('error', () => undefined);
    const inbound = await ends.accept();
    await expect(listener.native.secureInbound(inbound)).rejects.toThrow(message);
    client.destroy();
    await expectClosed(inbound);
  });

  it('refuses a certificate that another key than its own signed', async () => {
    const forger = await createPeer();
    // The extension of this certificate is signed for another certificate's key.
    const forged = {
      ...dialer.key,
      type: dialer.key.type,
      publicKey: dialer.key.publicKey,
      sign: async (bytes: Uint8Array) => forger.key.sign(bytes),
    } as unknown as PrivateKey;
    const socket = await rawSocket(ends.port);
    const client = connectTls({
      socket,
      rejectUnauthorized: false,
      ALPNProtocols: ['libp2p'],
      ...(await generateCertificate(forged)),
    });
    client.on('error', () => undefined);
    const inbound = await ends.accept();
    await expect(listener.native.secureInbound(inbound)).rejects.toThrow(
      /Could not verify signature/,
    );
    client.destroy();
    await expectClosed(inbound);
  });

  it.each([
    ['speaks something else', Buffer.from('GET / HTTP/1.1\r\n\r\n'), /http request/],
    [
      'ends the connection inside its first message',
      undefined,
      /peer ended the (?:connection before the )?handshake/,
    ],
  ])('fails a dialer that %s', async (_, garbage, message) => {
    const bytes = garbage ?? (await clientHello()).subarray(0, 100);
    const socket = await rawSocket(ends.port);
    socket.write(bytes);
    if (garbage === undefined) socket.end();
    const inbound = await ends.accept();
    await expect(listener.native.secureInbound(inbound)).rejects.toThrow(message);
    socket.destroy();
    await expectClosed(inbound);
  });

  it('fails a listener that closes before it has answered', async () => {
    await using silent = await rawServer((socket) => socket.once('data', () => socket.destroy()));
    const outbound = await ends.dial(silent.port);
    await expect(dialer.native.secureOutbound(outbound)).rejects.toThrow(
      /disconnected before|ECONNRESET|ended the handshake/,
    );
    await expectClosed(outbound);
  });

  it.each([
    [
      'dialer',
      (connection: MessageStream, signal: AbortSignal) =>
        dialer.native.secureOutbound(connection, { signal }),
    ],
    [
      'listener',
      (connection: MessageStream, signal: AbortSignal) =>
        listener.native.secureInbound(connection, { signal }),
    ],
  ])('stops a handshake with a silent peer when the signal aborts, as %s', async (_, secure) => {
    await using silent = await rawServer(() => undefined);
    const connection = await ends.dial(silent.port);
    const aborting = new AbortController();
    const securing = secure(connection, aborting.signal);
    const reason = new Error('taken back');
    setImmediate(() => aborting.abort(reason));
    await expect(securing).rejects.toBe(reason);
    expect(connection.status).toBe('aborted');
  });

  it('begins nothing when the signal has aborted already', async () => {
    const [outbound, inbound] = await connected();
    const reason = new Error('too late');
    const signal = AbortSignal.abort(reason);
    await expect(dialer.native.secureOutbound(outbound, { signal })).rejects.toBe(reason);
    expect(inbound.readBufferLength).toBe(0);
    outbound.abort(reason);
    await expectClosed(outbound, inbound);
  });

  it('fails when the connection ended before the handshake', async () => {
    const [outbound, inbound] = await connected();
    outbound.abort(new Error('gone'));
    await vi.waitFor(() => expect(inbound.status).not.toBe('open'), WAIT);
    await expect(listener.native.secureInbound(inbound)).rejects.toMatchObject({
      code: 'ERR_CONNECTION',
    });
  });
});

/** The first message of a TLS client. */
async function clientHello(): Promise<Uint8Array> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array>();
  await using server = await rawServer((socket) => socket.once('data', resolve));
  const client = connectTls({ port: server.port, host: '127.0.0.1', rejectUnauthorized: false });
  client.on('error', () => undefined);
  const bytes = await promise;
  client.destroy();
  await once(client, 'close');
  return bytes;
}

describe('TlsStream', () => {
  it('makes a writer wait whose reader does not read, and goes on when it does', async () => {
    const { outbound, inbound, connections } = await secured();
    const came = collect(inbound.connection);
    inbound.connection.pause();
    const chunk = randomBytes(64 * KIB);
    let sentBytes = 0;
    // What the two kernels buffer is some MiB.
    const bound = 64 * MIB;
    const fill = (): void => {
      while (sentBytes < bound) {
        sentBytes += chunk.byteLength;
        if (!outbound.connection.send(chunk)) return;
      }
    };
    outbound.connection.addEventListener('drain', fill);
    fill();
    let seenBytes = 0;
    await vi.waitFor(
      () => {
        const before = seenBytes;
        seenBytes = sentBytes;
        expect(seenBytes).toBe(before);
      },
      { ...WAIT, interval: 100 },
    );
    expect(outbound.connection.writableNeedsDrain).toBe(true);
    outbound.connection.removeEventListener('drain', fill);
    expect(sentBytes).toBeLessThan(bound);
    expect(came.bytes).toBe(0);
    expect(inbound.connection.readBufferLength).toBeLessThan(MIB);
    inbound.connection.resume();
    await vi.waitFor(() => expect(came.bytes).toBe(sentBytes), WAIT);
    expect(outbound.connection.writableNeedsDrain).toBe(false);
    connections[0].abort(new Error('test is over'));
  });

  it.each([
    ['libp2p closes its connection', ({ connections }: Secured) => connections[0]],
    ['it is closed itself', ({ outbound }: Secured) => outbound.connection],
  ])('sends what was written before it ends, when %s', async (_, closed) => {
    const all = await secured();
    const came = collect(all.inbound.connection);
    const sent = randomBytes(8 * MIB);
    all.outbound.connection.send(sent);
    await closed(all).close({ signal: AbortSignal.timeout(10_000) });
    await expectClosed(all.outbound.connection, all.inbound.connection, ...all.connections);
    expect(Buffer.concat(came.chunks).equals(sent)).toBe(true);
    for (const { status } of [all.outbound.connection, ...all.connections])
      expect(status).toBe('closed');
  });

  it.each([
    ['libp2p aborts its connection', ({ connections }: Secured) => connections[0]],
    ['it is aborted itself', ({ outbound }: Secured) => outbound.connection],
  ])(
    'resets the connection at once, though the peer does not read, when %s',
    async (_, aborted) => {
      const all = await secured();
      const errors: unknown[] = [];
      all.inbound.connection.addEventListener('close', ({ error }) => errors.push(error));
      // A reset that meets the last of the handshake looks like an end.
      const came = collect(all.inbound.connection);
      all.outbound.connection.send(Uint8Array.of(1));
      await vi.waitFor(() => expect(came.bytes).toBe(1), WAIT);
      all.inbound.connection.pause();
      all.outbound.connection.send(randomBytes(32 * MIB));
      aborted(all).abort(new Error('enough'));
      expect([all.outbound.connection.status, all.connections[0].status]).toEqual([
        'aborted',
        'aborted',
      ]);
      all.inbound.connection.resume();
      await expectClosed(all.outbound.connection, all.inbound.connection, ...all.connections);
      expect(errors).toEqual([expect.any(Error)]);
    },
  );

  it('ends when nothing comes or goes for the time that libp2p allows', async () => {
    const { outbound, inbound, connections } = await secured();
    const [{ socket }] = connections as unknown as readonly [{ readonly socket: Socket }];
    socket.setTimeout(20);
    await expectClosed(outbound.connection, inbound.connection, ...connections);
    expect(connections[0].status).toBe('aborted');
  });
});
