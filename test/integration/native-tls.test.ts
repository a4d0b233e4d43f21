import { randomBytes } from 'node:crypto';
import { yamux } from '@chainsafe/libp2p-yamux';
import { type Identify, identify } from '@libp2p/identify';
import type { Connection, ConnectionGater, Libp2p } from '@libp2p/interface';
import { type Ping, ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { tls } from '@libp2p/tls';
import { echo } from '@libp2p/utils';
import { webSockets } from '@libp2p/websockets';
import { createLibp2p } from 'libp2p';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { lazyYamux } from '../../src/swarm/lazy-yamux.ts';
import { nativeTls } from '../../src/swarm/native-tls.ts';
import { rawSocket } from '../support/tcp-pair.ts';

const WAIT = { interval: 5, timeout: 20_000 };
const PROTOCOL = '/gpu-swarm/test/echo/1.0.0';
const TCP = '/ip4/127.0.0.1/tcp/0';

type Peer = Libp2p<{ identify: Identify; ping: Ping }>;

interface PeerInit {
  readonly stock?: boolean;
  readonly listen?: readonly string[];
  readonly gater?: ConnectionGater;
}

const peers: Peer[] = [];

afterEach(async () => {
  await Promise.all(peers.splice(0).map(async (peer) => peer.stop()));
});

/** A peer with the encryption and the muxer of the swarm, or the stock ones; it sends back what it is sent. */
async function createPeer({
  stock = false,
  listen = [],
  gater = {},
}: PeerInit = {}): Promise<Peer> {
  const peer = await createLibp2p({
    addresses: { listen: [...listen] },
    transports: [tcp(), webSockets()],
    connectionEncrypters: [stock ? tls() : nativeTls()],
    streamMuxers: [stock ? yamux() : lazyYamux()],
    connectionGater: { denyDialMultiaddr: () => false, ...gater },
    connectionManager: { inboundConnectionThreshold: 1000 },
    services: { identify: identify(), ping: ping() },
  });
  await peer.handle(PROTOCOL, async (stream) => echo(stream));
  peers.push(peer);
  return peer;
}

async function dial(from: Peer, to: Peer): Promise<Connection> {
  return from.dial(to.getMultiaddrs(), { signal: AbortSignal.timeout(10_000) });
}

async function echoed(connection: Connection, bytes: Uint8Array): Promise<Uint8Array> {
  const stream = await connection.newStream(PROTOCOL, { signal: AbortSignal.timeout(10_000) });
  const chunks: Uint8Array[] = [];
  let received = 0;
  stream.addEventListener('message', ({ data }) => {
    chunks.push(data.subarray());
    received += data.byteLength;
  });
  stream.send(bytes);
  await vi.waitFor(() => expect(received).toBe(bytes.byteLength), WAIT);
  await stream.close({ signal: AbortSignal.timeout(10_000) });
  return Buffer.concat(chunks);
}

function openSockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
}

describe('Peers with TLS straight on the socket', () => {
  it.each([
    ['each other, over TCP', {}, { listen: [TCP] }],
    ['a stock peer that listens', {}, { stock: true, listen: [TCP] }],
    ['a stock peer that dials', { stock: true }, { listen: [TCP] }],
    ['each other, over WebSocket', {}, { listen: [`${TCP}/ws`] }],
  ])('dial, identify, ping and carry 5 MiB both ways, with %s', async (_, dialing, listening) => {
    const [dialer, listener] = [await createPeer(dialing), await createPeer(listening)];
    const connection = await dial(dialer, listener);
    expect(connection).toMatchObject({ encryption: '/tls/1.0.0', multiplexer: '/yamux/1.0.0' });
    expect(connection.remotePeer.equals(listener.peerId)).toBe(true);
    await vi.waitFor(
      () => expect(listener.getPeers().map(String)).toEqual([dialer.peerId.toString()]),
      WAIT,
    );
    // Identify runs by itself on a new connection.
    await vi.waitFor(async () => {
      const { protocols } = await dialer.peerStore.get(listener.peerId);
      expect(protocols).toContain(PROTOCOL);
    }, WAIT);
    expect(await dialer.services.ping.ping(connection.remotePeer)).toBeGreaterThanOrEqual(0);
    const sent = randomBytes(5 * 1024 * 1024);
    expect(Buffer.compare(await echoed(connection, sent), sent)).toBe(0);
    await connection.close();
    await vi.waitFor(() => expect(listener.getConnections()).toEqual([]), WAIT);
  });

  it('ask the connection gater once they know who it is', async () => {
    const refused: string[] = [];
    const listener = await createPeer({
      listen: [TCP],
      gater: {
        denyInboundEncryptedConnection: (peer) => {
          refused.push(peer.toString());
          return true;
        },
      },
    });
    const dialer = await createPeer();
    // The dialer may be done before it hears of the refusal.
    await dial(dialer, listener).catch(() => undefined);
    await vi.waitFor(() => expect(dialer.getConnections()).toEqual([]), WAIT);
    expect(refused).toEqual([dialer.peerId.toString()]);
    expect(listener.getConnections()).toEqual([]);
  });

  it('live through garbage, half a handshake and silence on their port', async () => {
    const listener = await createPeer({ listen: [TCP] });
    const [address] = listener.getMultiaddrs();
    const port = Number(address?.getComponents().find(({ name }) => name === 'tcp')?.value);
    // multistream-select up to the choice of TLS, as the dialer of the specification writes it.
    const chosen = Buffer.from('\x13/multistream/1.0.0\n\x0b/tls/1.0.0\n', 'latin1');
    const openings: readonly Uint8Array[] = [
      randomBytes(4096),
      Buffer.concat([chosen, randomBytes(4096)]),
      // A record of 512 bytes is announced, and nothing of it comes.
      Buffer.concat([chosen, Buffer.from([22, 3, 1, 2, 0])]),
      Buffer.of(),
    ];
    const strangers = await Promise.all(openings.map(async () => rawSocket(port)));
    for (const [index, stranger] of strangers.entries()) stranger.write(openings[index] ?? '');
    const connection = await dial(await createPeer(), listener);
    expect(await echoed(connection, Uint8Array.of(1, 2, 3))).toEqual(Buffer.of(1, 2, 3));
    for (const stranger of strangers) stranger.destroy();
    await vi.waitFor(() => expect(listener.getConnections()).toHaveLength(1), WAIT);
  });

  it('leave no socket behind after 50 connections, closed, aborted, or stopped under them', async () => {
    const listener = await createPeer({ listen: [TCP] });
    const dialers = await Promise.all(Array.from({ length: 10 }, async () => createPeer()));
    for (let round = 0; round < 5; round += 1) {
      const opened = await Promise.all(dialers.map(async (dialer) => dial(dialer, listener)));
      await Promise.all(opened.map(async (connection) => echoed(connection, randomBytes(100_000))));
      if (round === 4) break;
      // What is on its way when a connection is aborted must reach no socket that is gone.
      for (const [index, connection] of opened.entries()) {
        if (index % 2 === 0) continue;
        const stream = await connection.newStream(PROTOCOL);
        stream.send(randomBytes(1_000_000));
        connection.abort(new Error('enough'));
      }
      await Promise.all(opened.map(async (connection) => connection.close()));
      await vi.waitFor(() => expect(listener.getConnections()).toEqual([]), WAIT);
    }
    await listener.stop();
    await Promise.all(dialers.map(async (dialer) => dialer.stop()));
    await vi.waitFor(() => expect(openSockets()).toBe(0), WAIT);
  });

  it('send what a stream was given before they close the connection', async () => {
    const listener = await createPeer({ listen: [TCP] });
    const sink = '/gpu-swarm/test/sink/1.0.0';
    let received = 0;
    await listener.handle(sink, (stream) => {
      stream.addEventListener('message', ({ data }) => {
        received += data.byteLength;
      });
    });
    const connection = await dial(await createPeer(), listener);
    const stream = await connection.newStream(sink);
    stream.send(randomBytes(3 * 1024 * 1024));
    await stream.close({ signal: AbortSignal.timeout(10_000) });
    await connection.close({ signal: AbortSignal.timeout(10_000) });
    await vi.waitFor(() => expect(received).toBe(3 * 1024 * 1024), WAIT);
  });
});
