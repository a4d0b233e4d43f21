import { describe, expect, it } from 'vitest';
import { NoNodeError } from '../../../../protocols/errors.ts';
import type { NodeId } from '../../../../protocols/types.ts';
import type { SwarmPeer } from '../../../../src/swarm/peer.ts';
import { ScalingWatch } from '../../../../src/swarm/scaling-watch.ts';
import { SwarmView } from '../../../../src/swarm/view.ts';
import { announcement, NODE, VERSION } from '../../../vectors/capacity.ts';

/** A peer that hears these nodes serve {@link VERSION}, each in so many milliseconds a request. */
function peerHearing(
  serviceMs: Readonly<Record<string, number>>,
  { servers = [] }: { readonly servers?: readonly string[] } = {},
): SwarmPeer {
  const view = new SwarmView();
  for (const [node, ms] of Object.entries(serviceMs)) {
    const load = { ...VERSION.load, slots: 1, serviceMs: ms };
    const versions = [{ ...VERSION, load }];
    view.add({ ...announcement, node: node as NodeId, versions }, new Uint8Array(), 0);
  }
  const ignore = (): undefined => undefined;
  return {
    view,
    libp2p: {
      peerId: { toMultihash: () => ({ bytes: Buffer.from(NODE) }) },
      services: {
        dht: {
          routingTable: {
            closestPeers: () =>
              servers.map((id) => ({ toMultihash: () => ({ bytes: Buffer.from(id) }) })),
          },
        },
      },
    },
    releases: { cached: ignore, find: () => Promise.reject(new NoNodeError('nobody has it')) },
    recruits: { onNotice: () => ignore },
    liveness: { onDeath: () => ignore },
    gossip: { joinAll: ignore },
    demand: { joinAll: ignore },
    follow: ignore,
  } as unknown as SwarmPeer;
}

describe('ScalingWatch', () => {
  const noManifest = async (): Promise<never> => {
    throw new NoNodeError('nobody has it');
  };

  it('counts the nodes of a small swarm once it has heard of all, and not the servers of the DHT that are none', async () => {
    const servers = ['bootstrap', 'dead', 'a'];
    const watch = new ScalingWatch(peerHearing({ a: 10, b: 10 }, { servers }), noManifest);
    expect(watch.view(0).population).toBe(4);
    expect(watch.view(9_999).population).toBe(4);
    expect(watch.view(10_000).population).toBe(2);
    await watch.stop();
  });

  it('goes by the estimate in a swarm of which nobody hears all', async () => {
    const servers = Array.from({ length: 80 }, (_, index) => `server ${index}`);
    const watch = new ScalingWatch(peerHearing({ a: 10 }, { servers }), noManifest);
    const first = watch.view(0).population;
    expect(first).toBeGreaterThan(64);
    expect(watch.view(60_000).population).toBe(first);
    await watch.stop();
  });

  it('knows how many times as fast as the usual one each node is, of two the slower', async () => {
    const speedsOf = async (serviceMs: Readonly<Record<string, number>>): Promise<object> => {
      const watch = new ScalingWatch(peerHearing(serviceMs), async () => {
        throw new NoNodeError('nobody has it');
      });
      const { nodes } = watch.view(0);
      await watch.stop();
      return Object.fromEntries(nodes.map(({ node, speed }) => [node, speed]));
    };
    expect(await speedsOf({ slow: 100, usual: 50, fast: 10 })).toEqual({
      slow: expect.closeTo(0.5),
      usual: expect.closeTo(1),
      fast: expect.closeTo(5),
    });
    expect(await speedsOf({ slow: 100, fast: 10 })).toEqual({
      slow: expect.closeTo(1),
      fast: expect.closeTo(10),
    });
    expect(await speedsOf({ alone: 10 })).toEqual({ alone: null });
  });
});
