import { noise } from '@chainsafe/libp2p-noise';
import { yamux } from '@chainsafe/libp2p-yamux';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { identify } from '@libp2p/identify';
import type { Connection, Libp2p } from '@libp2p/interface';
import { ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createMemorySequenceStore } from '../../protocols/release/index.ts';
import { createSwarmLibp2p, type SwarmLibp2p } from '../../src/swarm/libp2p.ts';
import { loadedPackages } from '../support/loaded-packages.ts';

const TCP = '/ip4/127.0.0.1/tcp/0';

async function swarmPeer(listen: readonly string[] = []): Promise<SwarmLibp2p> {
  const peer = await createSwarmLibp2p({
    network: 'lazy',
    privateKey: await generateKeyPair('Ed25519'),
    dhtMode: 'client',
    listen,
    sequences: createMemorySequenceStore(),
  });
  onTestFinished(() => peer.stop());
  return peer;
}

/** A stock peer without TLS, as a browser is. */
async function noisePeer(listen: readonly string[] = []): Promise<Libp2p> {
  const peer = await createLibp2p({
    addresses: { listen: [...listen] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionGater: { denyDialMultiaddr: () => false },
    services: { identify: identify(), ping: ping() },
  });
  onTestFinished(() => peer.stop());
  return peer;
}

async function dial(from: Libp2p | SwarmLibp2p, to: Libp2p | SwarmLibp2p): Promise<Connection> {
  return from.dial(to.getMultiaddrs(), { signal: AbortSignal.timeout(10_000) });
}

describe('A peer that loads rare parts of the stack when it needs them', () => {
  it('is dialled by a peer that has Noise only, and dials one', async () => {
    const [swarm, stock] = [await swarmPeer([TCP]), await noisePeer([TCP])];
    expect(await dial(stock, swarm)).toMatchObject({ encryption: '/noise' });
    const dialler = await swarmPeer();
    expect(await dial(dialler, stock)).toMatchObject({ encryption: '/noise' });
    expect(await dialler.services.ping.ping(stock.peerId)).toBeGreaterThanOrEqual(0);
  });

  it('dials WebSockets, though it listens on none', async () => {
    const [listener, dialler] = [await swarmPeer([`${TCP}/ws`]), await swarmPeer()];
    const connection = await dial(dialler, listener);
    expect(connection).toMatchObject({ encryption: '/tls/1.0.0' });
    expect(connection.remoteAddr.toString()).toContain('/ws');
    expect(await dialler.services.ping.ping(listener.peerId)).toBeGreaterThanOrEqual(0);
  });

  it.each([
    ['/dns4/node.example/tcp/443/tls/ws', true],
    ['/dns4/node.example/tcp/443/wss', true],
    ['/ip4/127.0.0.1/udp/4001/quic-v1', false],
  ])('takes %s for an address it can dial: %s', async (address, expected) => {
    const dialler = await swarmPeer();
    expect(await dialler.isDialable(multiaddr(address))).toBe(expected);
  });
});

describe('An import of the client', () => {
  it('loads no runtime of models, and nothing that a first call does not need', async () => {
    const loaded = new Set(await loadedPackages("await import('gpu-swarm');"));
    expect(loaded).toContain('libp2p');
    const rare = ['@chainsafe/libp2p-noise', '@libp2p/websockets', '@libp2p/mdns', 'sharp'];
    const others = ['onnxruntime-node', 'level', 'datastore-level', 'pino', 'commander'];
    expect([...rare, ...others].filter((name) => loaded.has(name))).toEqual([]);
  });
});
