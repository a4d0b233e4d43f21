import { generateKeyPair } from '@libp2p/crypto/keys';
import type { PeerId } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../../protocols/digest.ts';
import type { SwarmLibp2p } from '../../../../src/swarm/libp2p.ts';
import { estimatePopulation } from '../../../../src/swarm/population.ts';

/** A peer that knows the others by their distance, as a routing table does. */
function peerAmong(own: PeerId, others: readonly PeerId[]): SwarmLibp2p {
  const key = (peer: PeerId) => sha256(peer.toMultihash().bytes);
  const closestPeers = (to: Uint8Array, { count }: { count: number }) => {
    const distance = (peer: PeerId) =>
      Buffer.from(key(peer).map((byte, index) => byte ^ (to[index] ?? 0)));
    return others.toSorted((a, b) => Buffer.compare(distance(a), distance(b))).slice(0, count);
  };
  const dht = { routingTable: { closestPeers } };
  return { peerId: own, services: { dht } } as unknown as SwarmLibp2p;
}

describe('estimatePopulation', () => {
  const peers = Promise.all(
    Array.from({ length: 400 }, async () => peerIdFromPrivateKey(await generateKeyPair('Ed25519'))),
  );

  it('counts the peers of a small swarm, itself included', async () => {
    const [own, ...others] = (await peers).slice(0, 12);
    if (own === undefined) throw new Error('no peer');
    expect(estimatePopulation(peerAmong(own, others))).toBe(12);
    expect(estimatePopulation(peerAmong(own, []))).toBe(1);
  });

  it('estimates a larger one from the sixteen keys nearest to its own', async () => {
    const all = await peers;
    const estimates = all.slice(0, 40).map((own) => {
      const others = all.filter((peer) => peer !== own);
      return estimatePopulation(peerAmong(own, others));
    });
    const sorted = estimates.toSorted((a, b) => a - b);
    // Of sixteen draws one estimate may be a quarter off and the worst of forty twice as much; the middle one is near.
    expect(sorted[20]).toBeGreaterThan(300);
    expect(sorted[20]).toBeLessThan(530);
    expect(sorted[0]).toBeGreaterThan(100);
    expect(sorted[39]).toBeLessThan(1_600);
  });

  it('counts itself where kad-dht shows no routing table', async () => {
    const [own] = await peers;
    const libp2p = { peerId: own, services: { dht: {} } } as unknown as SwarmLibp2p;
    expect(estimatePopulation(libp2p)).toBe(1);
  });
});
