import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { describe, expect, it, vi } from 'vitest';
import { createMemorySequenceStore } from '../../../../protocols/release/index.ts';
import { createClient } from '../../../../src/index.ts';
import { SwarmPeer } from '../../../../src/swarm/peer.ts';

const NOBODY = '12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo';

/** A host that takes connections and never says a word, and its address. */
async function silentHost() {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  };
  return { close, address: `/ip4/127.0.0.1/tcp/${port}/p2p/${NOBODY}` };
}

/** An address at which nobody listens any more. */
async function deadAddress(): Promise<string> {
  const { address, close } = await silentHost();
  await close();
  return address;
}

async function startPeer(
  bootstrap: readonly string[],
  onWarning?: (message: string) => void,
  network = 'way-in',
) {
  const peer = await SwarmPeer.start({
    network,
    privateKey: await generateKeyPair('Ed25519'),
    dhtMode: 'client',
    bootstrap,
    sequences: createMemorySequenceStore(),
    onWarning,
  });
  return { peer, [Symbol.asyncDispose]: () => peer.stop() };
}

/** A peer that can be met. */
async function startListener() {
  const peer = await SwarmPeer.start({
    network: 'way-in',
    privateKey: await generateKeyPair('Ed25519'),
    dhtMode: 'server',
    bootstrap: [],
    listen: ['/ip4/127.0.0.1/tcp/0'],
    sequences: createMemorySequenceStore(),
  });
  return { peer, [Symbol.asyncDispose]: () => peer.stop() };
}

describe('SwarmPeer.connected', () => {
  it('says that the time ended while an address may still answer', async () => {
    const { address, close } = await silentHost();
    {
      await using started = await startPeer([address, await deadAddress()]);
      await expect(started.peer.connected(AbortSignal.abort())).rejects.toMatchObject({
        code: 'ERR_DEADLINE',
        details: { phase: 'dial' },
        message: expect.stringContaining(address),
      });
    }
    await close();
  });

  it('says that no peer can be reached once each address has refused', async () => {
    const addresses = [await deadAddress(), await deadAddress()];
    await using started = await startPeer(addresses);
    await vi.waitFor(
      () =>
        expect(started.peer.connected(AbortSignal.abort())).rejects.toMatchObject({
          code: 'ERR_CONNECTION',
          message: expect.stringContaining(addresses.join(', ')),
        }),
      { timeout: 10_000 },
    );
  });
});

describe('SwarmPeerInit.onWarning', () => {
  it('is told once what each address answered, and again after there was a peer', async () => {
    const dead = await deadAddress();
    const told: string[] = [];
    await using met = await startListener();
    const elsewhere = peerIdFromPrivateKey(await generateKeyPair('Ed25519')).toString();
    const other = `${met.peer.addresses[0]?.split('/p2p/')[0]}/p2p/${elsewhere}`;
    await using started = await startPeer([dead, other], (message) => told.push(message));
    const { libp2p } = started.peer;
    await vi.waitFor(() => expect(told).toHaveLength(1), { timeout: 10_000 });
    expect(told[0]).toMatch(/^no peer of network 'way-in' can be reached, which is tried again/);
    expect(told[0]).toMatch(/tcp\/\d+\/p2p\/\w+: connection error .*ECONNREFUSED/);
    expect(told[0]).toContain(`${other}: another peer answers there than the address names`);
    await libp2p.dial(met.peer.libp2p.getMultiaddrs());
    await met.peer.stop();
    await vi.waitFor(() => expect(told).toHaveLength(2), { timeout: 10_000 });
  });

  it('is told that the peer at an address is of another network, and not of one that is of this', async () => {
    await using met = await startListener();
    const [address = ''] = met.peer.addresses;
    const told: string[] = [];
    await using same = await startPeer([address], (message) => told.push(message));
    await same.peer.connected(AbortSignal.timeout(10_000));
    await using other = await startPeer([address], (message) => told.push(message), 'other');
    await other.peer.connected(AbortSignal.timeout(10_000));
    await vi.waitFor(() => expect(told).toHaveLength(1), { timeout: 10_000 });
    expect(told).toEqual([`peer at ${address} is of another network than 'other' (--network)`]);
  });
});

describe('createClient', () => {
  it('says that the time was too short when a peer is still being dialled', async () => {
    const { address, close } = await silentHost();
    await expect(createClient({ bootstrap: [address], joinTimeoutMs: 50 })).rejects.toMatchObject({
      code: 'ERR_DEADLINE',
      details: { phase: 'dial' },
    });
    await close();
  });
});
