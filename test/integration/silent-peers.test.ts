import { generateKeyPair } from '@libp2p/crypto/keys';
import { multiaddr } from '@multiformats/multiaddr';
import { describe, expect, it } from 'vitest';
import { protocolId } from '../../protocols/protocol-id.ts';
import { createMemorySequenceStore } from '../../protocols/release/index.ts';
import { ROUTING_VERSION } from '../../protocols/routing/index.ts';
import { SwarmPeer } from '../../src/swarm/peer.ts';
import { createTestnet } from '../support/testnet.ts';

/** As many as are asked at once: while they come first, nobody else is. */
const ASKED = 3;

async function startPeer(network: string, bootstrap: readonly string[]): Promise<SwarmPeer> {
  return SwarmPeer.start({
    network,
    privateKey: await generateKeyPair('Ed25519'),
    dhtMode: 'client',
    bootstrap,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    sequences: createMemorySequenceStore(),
  });
}

describe('A peer that asks others for a snapshot', () => {
  it('asks those first that answered, so that a few that stand still cost it one round', async () => {
    await using testnet = await createTestnet({ nodes: 0, clients: 0 });
    const { network } = testnet;
    const silent = await Promise.all(
      Array.from({ length: ASKED }, async () => {
        const peer = await startPeer(network, []);
        await peer.libp2p.handle(protocolId(network, 'routing', ROUTING_VERSION), () => {
          // The stream stays open, and nothing is ever said on it.
        });
        return peer;
      }),
    );
    const client = await startPeer(
      network,
      silent.flatMap(({ addresses }) => addresses),
    );
    await expect.poll(() => client.libp2p.getPeers().length, { timeout: 10_000 }).toBe(ASKED);
    const [lively = ''] = testnet.bootstrapAddresses;
    await client.libp2p.dial(multiaddr(lively), { signal: AbortSignal.timeout(10_000) });
    const ask = async (): Promise<string[]> => {
      const signal = AbortSignal.timeout(30_000);
      const asked = client.snapshots({ kind: 'nodes' }, { signal, atMost: ASKED });
      return (await Promise.allSettled(asked)).map(({ status }) => status);
    };
    expect(await ask()).toEqual(['rejected', 'rejected', 'rejected']);
    expect(await ask()).toEqual(['fulfilled', 'rejected', 'rejected']);
    await Promise.all([client, ...silent].map((peer) => peer.stop()));
  });
});
