import { randomBytes } from 'node:crypto';
import { yamux } from '@chainsafe/libp2p-yamux';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { type Identify, identify } from '@libp2p/identify';
import type { ConnectionGater, Libp2p, Stream } from '@libp2p/interface';
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht';
import { type Ping, ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { tls } from '@libp2p/tls';
import { createLibp2p } from 'libp2p';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { directLaneOf } from '../../protocols/codec/direct-lane.ts';
import { encodeFrameHeader } from '../../protocols/codec/frame.ts';
import { FrameStream, type OutgoingBody } from '../../protocols/codec/frame-stream.ts';
import {
  handleInference,
  INFERENCE_VERSION,
  InferenceConnection,
} from '../../protocols/inference/index.ts';
import { protocolId } from '../../protocols/protocol-id.ts';
import { createMemorySequenceStore } from '../../protocols/release/index.ts';
import { lazyYamux } from '../../src/swarm/lazy-yamux.ts';
import { createSwarmLibp2p } from '../../src/swarm/libp2p.ts';
import { nativeTls } from '../../src/swarm/native-tls.ts';
import { HeldHandler, requestOf, WAIT } from '../support/inference-peers.ts';

const MIB = 1024 * 1024;
const PROTOCOL = '/gpu-swarm/test/lane/1.0.0';
const TCP = '/ip4/127.0.0.1/tcp/0';
const NETWORK = 'lane';
const DATA = 2;

/** yamux's first window. */
const WINDOW_BYTES = 256 * 1024;

const CHUNK_BYTES = 64 * 1024;

type KadDht = ReturnType<ReturnType<typeof kadDHT>>;

interface PeerInit {
  readonly stock?: boolean;
  readonly gater?: ConnectionGater;
  readonly maxConnections?: number;
  readonly inboundConnectionThreshold?: number;
}

const peers: { stop(): void | Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(peers.splice(0).map(async (peer) => peer.stop()));
});

async function createPeer(init: PeerInit = {}): Promise<Libp2p> {
  const { stock = false, maxConnections = 100, inboundConnectionThreshold = 1_000 } = init;
  const peer = await createLibp2p({
    addresses: { listen: [TCP] },
    transports: [tcp()],
    connectionEncrypters: [stock ? tls() : nativeTls()],
    streamMuxers: [stock ? yamux() : lazyYamux()],
    connectionGater: { denyDialMultiaddr: () => false, ...init.gater },
    connectionManager: { maxConnections, inboundConnectionThreshold },
  });
  peers.push(peer);
  return peer;
}

/** Sends bytes below yamux, as they are. */
function rawSend(peer: Libp2p, bytes: Uint8Array): void {
  const [connection] = peer.getConnections();
  const { muxer } = connection as unknown as {
    muxer: { maConn: { send(bytes: Uint8Array): void } };
  };
  muxer.maConn.send(bytes);
}

interface Ends {
  readonly outbound: Stream;
  readonly inbound: Stream;
}

/** Both ends of a stream from one peer to another. */
async function open(dialer: Libp2p, listener: Libp2p): Promise<Ends> {
  const arrival = Promise.withResolvers<Stream>();
  await listener.handle(PROTOCOL, (stream) => arrival.resolve(stream), { force: true });
  const outbound = await dialer.dialProtocol(listener.getMultiaddrs(), PROTOCOL, {
    signal: AbortSignal.timeout(10_000),
  });
  return { outbound, inbound: await arrival.promise };
}

/** One end as frames: what bytes of bodies came, in their order, and how it ended. */
function framed(stream: Stream) {
  const came: Uint8Array[] = [];
  const heard: number[] = [];
  const ends: (Error | undefined)[] = [];
  const arrivals = new Map<number, (bytesBefore: number) => void>();
  let received = 0;
  const frames = new FrameStream(stream, {
    onFrame: ({ type, id, payload }) => {
      if (type === DATA) {
        came.push(Uint8Array.from(payload));
        received += payload.byteLength;
      } else {
        heard.push(type);
        arrivals.get(id)?.(received);
      }
    },
    divisibleType: DATA,
    onEnd: (error) => ends.push(error),
  });
  /** How many bytes of bodies came before the small frame of an id. */
  const arrival = async (id: number): Promise<number> =>
    new Promise((resolve) => arrivals.set(id, resolve));
  return { frames, came, heard, ends, arrival, bytes: () => received };
}

function bodyOf(id: number, bytes: Uint8Array): OutgoingBody {
  let taken = 0;
  return {
    id,
    type: DATA,
    get done() {
      return taken === bytes.byteLength;
    },
    take(maxBytes) {
      const piece = bytes.subarray(taken, taken + maxBytes);
      taken += piece.byteLength;
      return piece.byteLength === 0 ? [] : [piece];
    },
  };
}

describe('The direct lane of a stream', () => {
  it('is there at both ends of two peers of ours, and what they send goes by it', async () => {
    const { outbound, inbound } = await open(await createPeer(), await createPeer());
    expect([directLaneOf(outbound), directLaneOf(inbound)]).not.toContain(undefined);
    const [there, back] = [framed(inbound), framed(outbound)];
    // The first answer carries yamux's own ACK.
    back.frames.send(1, 1);
    await vi.waitFor(() => expect(there.heard).toEqual([1]), WAIT);
    there.frames.send(1, 1);
    await vi.waitFor(() => expect(back.heard).toEqual([1]), WAIT);
    const sends = [vi.spyOn(outbound, 'send'), vi.spyOn(inbound, 'send')];
    const messages = vi.fn();
    for (const stream of [outbound, inbound]) stream.addEventListener('message', messages);
    for (let id = 2; id < 100; id += 1) {
      back.frames.send(1, id, Buffer.alloc(id));
      await vi.waitFor(() => expect(there.heard).toHaveLength(id), WAIT);
      there.frames.send(1, id, Buffer.alloc(id));
      await vi.waitFor(() => expect(back.heard).toHaveLength(id), WAIT);
    }
    for (const send of sends) expect(send).not.toHaveBeenCalled();
    expect(messages).not.toHaveBeenCalled();
  });

  it.each([
    ['of ours', {}, {}],
    ['a stock listener', {}, { stock: true }],
    ['a stock dialer', { stock: true }, {}],
  ])(
    'carries 40 MiB both ways at once among small frames, unchanged, with %s',
    async (_, a, b) => {
      const { outbound, inbound } = await open(await createPeer(a), await createPeer(b));
      const [there, back] = [framed(inbound), framed(outbound)];
      const [to, from] = [randomBytes(40 * MIB), randomBytes(40 * MIB)];
      back.frames.sendBody(bodyOf(1, to));
      there.frames.sendBody(bodyOf(1, from));
      for (let id = 2; id < 500; id += 1) {
        for (const { frames } of [there, back]) frames.send(1, id, randomBytes(id * 20));
        if (id % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await vi.waitFor(() => expect([there.bytes(), back.bytes()]).toEqual([40 * MIB, 40 * MIB]), {
        interval: 20,
        timeout: 30_000,
      });
      expect(Buffer.concat(there.came).equals(to)).toBe(true);
      expect(Buffer.concat(back.came).equals(from)).toBe(true);
      await vi.waitFor(
        () => expect([there.heard, back.heard].map((all) => all.length)).toEqual([498, 498]),
        WAIT,
      );
    },
    40_000,
  );

  it('holds a sender whose reader has paused, keeps what came, and goes on after', async () => {
    const { outbound, inbound } = await open(await createPeer(), await createPeer());
    const [there, back] = [framed(inbound), framed(outbound)];
    const sent = randomBytes(24 * MIB);
    back.frames.sendBody(bodyOf(1, sent));
    await vi.waitFor(() => expect(there.bytes()).toBeGreaterThan(0), WAIT);
    inbound.pause();
    const atPause = there.bytes();
    await vi.waitFor(() => expect(inbound.readBufferLength).toBeGreaterThan(0), WAIT);
    expect(there.bytes()).toBe(atPause);
    inbound.resume();
    await vi.waitFor(() => expect(there.bytes()).toBe(sent.byteLength), WAIT);
    expect(Buffer.concat(there.came).equals(sent)).toBe(true);
  });

  it('lets 64 bytes overtake 100 MB but for the chunk that is going out', async () => {
    const { outbound, inbound } = await open(await createPeer(), await createPeer());
    const [there, back] = [framed(inbound), framed(outbound)];
    there.frames.send(1, 1);
    await vi.waitFor(() => expect(back.heard).toEqual([1]), WAIT);
    let taken = 0;
    const body = bodyOf(1, Buffer.alloc(100_000_000));
    const take = body.take.bind(body);
    body.take = (maxBytes) => {
      const pieces = take(maxBytes);
      for (const { byteLength } of pieces) taken += byteLength;
      return pieces;
    };
    back.frames.sendBody(body);
    for (let round = 1; round <= 20; round += 1) {
      await vi.waitFor(() => expect(there.bytes()).toBeGreaterThan(round * 4_000_000), WAIT);
      const takenBefore = taken;
      const waiting = there.arrival(round);
      back.frames.send(1, round, Buffer.alloc(64));
      expect((await waiting) - takenBefore).toBeLessThanOrEqual(CHUNK_BYTES);
    }
    expect(taken).toBeLessThanOrEqual(100_000_000);
  }, 30_000);

  it('ends with its stream: a reset reaches the other side, and the connection lives', async () => {
    const [dialer, listener] = [await createPeer(), await createPeer()];
    const first = await open(dialer, listener);
    const [there, back] = [framed(first.inbound), framed(first.outbound)];
    back.frames.sendBody(bodyOf(1, randomBytes(64 * MIB)));
    await vi.waitFor(() => expect(there.bytes()).toBeGreaterThan(MIB), WAIT);
    there.frames.abort(new Error('enough'));
    await vi.waitFor(() => expect(back.ends).toMatchObject([{ code: 'ERR_CONNECTION' }]), WAIT);
    const second = await open(dialer, listener);
    const again = framed(second.inbound);
    framed(second.outbound).frames.sendBody(bodyOf(1, randomBytes(MIB)));
    await vi.waitFor(() => expect(again.bytes()).toBe(MIB), WAIT);
    expect(dialer.getConnections()).toHaveLength(1);
  });

  it('ends when its peer has gone, whatever was on its way', async () => {
    const [dialer, listener] = [await createPeer(), await createPeer()];
    const { outbound, inbound } = await open(dialer, listener);
    const [there, back] = [framed(inbound), framed(outbound)];
    back.frames.sendBody(bodyOf(1, randomBytes(64 * MIB)));
    await vi.waitFor(() => expect(there.bytes()).toBeGreaterThan(0), WAIT);
    for (const connection of listener.getConnections()) connection.abort(new Error('gone'));
    await vi.waitFor(() => expect([there.ends.length, back.ends.length]).toEqual([1, 1]), WAIT);
  });

  it.each([
    ['of four GiB', 0xffff_ffff],
    ['a byte longer than its window', WINDOW_BYTES + 1],
  ])('refuses a frame %s by its header', async (_, length) => {
    const [dialer, listener] = [await createPeer({ stock: true }), await createPeer()];
    const { outbound, inbound } = await open(dialer, listener);
    const { ends, frames } = framed(inbound);
    frames.send(1, 1);
    const header = Buffer.alloc(12);
    header.writeUInt32BE(Number(outbound.id), 4);
    header.writeUInt32BE(length, 8);
    rawSend(dialer, header);
    await vi.waitFor(() => expect(ends).toHaveLength(1), WAIT);
    await vi.waitFor(() => expect(listener.getConnections()).toEqual([]), WAIT);
  });

  it('takes a frame of its whole window, in whatever pieces it comes', async () => {
    const [dialer, listener] = [await createPeer({ stock: true }), await createPeer()];
    const { outbound, inbound } = await open(dialer, listener);
    const { frames, bytes } = framed(inbound);
    frames.send(1, 1);
    const left = (inbound as unknown as { recvWindowCapacity: number }).recvWindowCapacity;
    const wire = Buffer.alloc(12 + left);
    wire.writeUInt32BE(Number(outbound.id), 4);
    wire.writeUInt32BE(left, 8);
    // Frames of ours inside it, of data that may come in pieces.
    const payloadBytes = 60_000;
    let at = 12;
    for (; at + 9 + payloadBytes <= wire.byteLength; at += 9 + payloadBytes) {
      wire.set(encodeFrameHeader(DATA, 1, payloadBytes), at);
    }
    const rest = wire.byteLength - at - 9;
    wire.set(encodeFrameHeader(DATA, 1, rest), at);
    for (let sent = 0; sent < wire.byteLength; sent += 7_001) {
      rawSend(dialer, wire.subarray(sent, sent + 7_001));
    }
    const frameCount = Math.floor((left - 9 - rest) / (9 + payloadBytes));
    await vi.waitFor(() => expect(bytes()).toBe(frameCount * payloadBytes + rest), WAIT);
  });
});

describe('A connection with direct lanes', () => {
  it('is refused by an allow-list that does not know its peer', async () => {
    const refused: string[] = [];
    const listener = await createPeer({
      gater: {
        denyInboundEncryptedConnection: (peer) => {
          refused.push(peer.toString());
          return true;
        },
      },
    });
    const dialer = await createPeer();
    await expect(open(dialer, listener)).rejects.toBeInstanceOf(Error);
    expect(refused).toContain(dialer.peerId.toString());
    expect(listener.getConnections()).toEqual([]);
  });

  it('counts as one of the connections a peer may have', async () => {
    const listener = await createPeer({ maxConnections: 1 });
    await open(await createPeer(), listener);
    await expect(open(await createPeer(), listener)).rejects.toBeInstanceOf(Error);
    expect(listener.getConnections()).toHaveLength(1);
  });

  it('counts among those that one address may open in a second', async () => {
    const listener = await createPeer({ inboundConnectionThreshold: 2 });
    const dialers = await Promise.all(Array.from({ length: 6 }, async () => createPeer()));
    const opened = await Promise.allSettled(
      dialers.map(async (dialer) => dialer.dial(listener.getMultiaddrs())),
    );
    expect(opened.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(0);
    expect(listener.getConnections().length).toBeLessThanOrEqual(2);
  });
});

/** A node of the swarm's whole stack that answers as the handler does, and the address it has. */
async function createNode(handler: HeldHandler, network = NETWORK) {
  const libp2p = await createSwarmLibp2p({
    network,
    privateKey: await generateKeyPair('Ed25519'),
    dhtMode: 'server',
    listen: [TCP],
    sequences: createMemorySequenceStore(),
  });
  peers.push(libp2p);
  await libp2p.handle(protocolId(network, 'inference', INFERENCE_VERSION), (stream, connection) =>
    handleInference(stream, connection.remotePeer.toString(), handler),
  );
  return libp2p;
}

describe('Inference by a direct lane', () => {
  const dialled = protocolId(NETWORK, 'inference', INFERENCE_VERSION);

  it('is not spoken to a peer of another network', async () => {
    const node = await createNode(new HeldHandler(), 'another');
    const client = await createNode(new HeldHandler());
    await expect(
      client.dialProtocol(node.getMultiaddrs(), dialled, { signal: AbortSignal.timeout(10_000) }),
    ).rejects.toMatchObject({ name: 'UnsupportedProtocolError' });
  });

  it('leaves a stock peer all it needs: it dials, identifies, pings, asks the DHT and infers', async () => {
    const handler = new HeldHandler({ echoes: true });
    const node = await createNode(handler);
    const stock = await createLibp2p<{ identify: Identify; ping: Ping; dht: KadDht }>({
      transports: [tcp()],
      connectionEncrypters: [tls()],
      streamMuxers: [yamux()],
      connectionGater: { denyDialMultiaddr: () => false },
      services: {
        identify: identify(),
        ping: ping(),
        dht: kadDHT({
          protocol: protocolId(NETWORK, 'kad', '1.0.0'),
          clientMode: true,
          peerInfoMapper: passthroughMapper,
        }),
      },
    });
    peers.push(stock);
    const connection = await stock.dial(node.getMultiaddrs());
    expect(connection.remotePeer.equals(node.peerId)).toBe(true);
    await vi.waitFor(async () => {
      const { protocols } = await stock.peerStore.get(node.peerId);
      expect(protocols).toContain(dialled);
    }, WAIT);
    expect(await stock.services.ping.ping(node.peerId)).toBeGreaterThanOrEqual(0);
    const closest: string[] = [];
    for await (const { id } of stock.peerRouting.getClosestPeers(stock.peerId.toMultihash().bytes, {
      signal: AbortSignal.timeout(10_000),
    })) {
      closest.push(id.toString());
    }
    expect(closest).toEqual([node.peerId.toString()]);
    const asked = new InferenceConnection(await connection.newStream(dialled));
    const { outputs } = await asked.infer(requestOf(3 * MIB));
    expect(outputs[0]?.tensor.bytes).toEqual(requestOf(3 * MIB).inputs[0]?.tensor.bytes);
    await asked.close();
  });
});
