import { multiaddr } from '@multiformats/multiaddr';
import { describe, expect, it } from 'vitest';
import { capacityBucket, capacityTopic, openAnnouncement } from '../../protocols/capacity/index.ts';
import { encodeDeathReport } from '../../protocols/liveness/index.ts';
import type { NodeId } from '../../protocols/types.ts';
import type { SwarmPeer } from '../../src/swarm/peer.ts';
import { type AnnouncedPeer, createAnnouncedPeer } from '../support/announced-peer.ts';
import { VERSION } from '../support/inference-peers.ts';
import { keepUntilTestEnds } from '../support/kept.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const NETWORK = 'test-liveness';
const SOON = { timeout: 15_000, interval: 20 };

function knows(peer: SwarmPeer, node: NodeId): boolean {
  return peer.view.node(node, Date.now()) !== undefined;
}

async function connect(from: SwarmPeer, to: SwarmPeer): Promise<void> {
  const [address = ''] = to.addresses;
  await from.libp2p.dial(multiaddr(address), { signal: AbortSignal.timeout(10_000) });
}

/** Connected, and both hear the version's topic and know of each other that they do. */
async function gossipWith(a: SwarmPeer, b: SwarmPeer): Promise<void> {
  const bucket = capacityBucket(VERSION);
  for (const peer of [a, b]) peer.gossip.join(bucket);
  await connect(a, b);
  const topic = capacityTopic(NETWORK, bucket);
  const heardBy = ({ libp2p }: SwarmPeer) =>
    libp2p.services.gossip.getSubscribers(topic).map(String);
  await expect.poll(() => heardBy(a), SOON).toContain(b.id);
  await expect.poll(() => heardBy(b), SOON).toContain(a.id);
}

describe.skipIf(process.platform !== 'linux')('A peer that watches a node (needs Linux)', () => {
  const keep = keepUntilTestEnds();
  const start = async (init = {}): Promise<AnnouncedPeer> =>
    keep(await createAnnouncedPeer(NETWORK, init));

  it('takes it out of its view within seconds of the last byte from a host that is cut off, and back in when it is found again', async () => {
    const proxy = keep(await TcpProxy.listen());
    const node = await start({ listen: [proxy.behind], announce: [proxy.address] });
    const { peer: watcher } = await start();
    await node.announce(VERSION, [watcher]);
    watcher.liveness.watch(() => new Set([node.id]));
    await expect.poll(() => watcher.libp2p.getPeers().map(String), SOON).toContain(node.id);

    const startedAtMs = performance.now();
    proxy.swallow();
    await expect.poll(() => knows(watcher, node.id), SOON).toBe(false);
    console.info(
      `cut off: out of the view after ${Math.round(performance.now() - startedAtMs)} ms`,
    );

    // A later word that others pass on brings nobody back who does not answer.
    const bytes = await node.announce(VERSION, [watcher]);
    expect(await watcher.liveness.admit(node.id)).toBe(false);
    expect(knows(watcher, node.id)).toBe(false);
    proxy.heal();
    watcher.view.add(await openAnnouncement(bytes), bytes, Date.now());
    await watcher.liveness.seekHolders(VERSION);
    await expect
      .poll(async () => {
        await watcher.liveness.seekHolders(VERSION);
        return knows(watcher, node.id);
      }, SOON)
      .toBe(true);
    expect(watcher.view.ready(VERSION, Date.now())).toHaveLength(1);
  });

  it('believes nobody who says that a living one is gone, and passes it on to nobody', async () => {
    const node = await start();
    const [{ peer: liar }, { peer: listener }, { peer: further }] = [
      await start(),
      await start(),
      await start(),
    ];
    await node.announce(VERSION, [listener, further]);
    await gossipWith(liar, listener);
    await gossipWith(listener, further);
    let looked = 0;
    node.peer.libp2p.addEventListener('peer:connect', () => (looked += 1));
    await liar.gossip.publish(
      capacityBucket(VERSION),
      encodeDeathReport({ node: node.id, salt: 1 }),
    );
    // The listener looks for it itself, and the one behind him never hears of it.
    await expect.poll(() => looked, SOON).toBe(1);
    await expect.poll(() => listener.libp2p.getPeers().map(String), SOON).toContain(node.id);
    expect([listener, further].map((peer) => knows(peer, node.id))).toEqual([true, true]);
    expect(further.libp2p.getPeers().map(String)).not.toContain(node.id);
  });

  it('meets a node of which it was told, and remembers that it has; one that was made up it buries', async () => {
    const node = await start();
    const gone = await start();
    const { peer } = await start();
    await node.announce(VERSION, [peer]);
    await gone.announce(VERSION, [peer]);
    await gone.peer.stop();
    expect([node, gone].map(({ id }) => peer.liveness.hasMet(id))).toEqual([false, false]);
    await Promise.all([node, gone].map(({ id }) => peer.liveness.meet(id)));
    expect([node, gone].map(({ id }) => knows(peer, id))).toEqual([true, false]);
    await Promise.all(peer.libp2p.getConnections().map((connection) => connection.close()));
    expect([node, gone].map(({ id }) => peer.liveness.hasMet(id))).toEqual([true, false]);
  });

  it('tells those who never met a node that it is gone, who look for it themselves', async () => {
    const node = await start();
    const [{ peer: watcher }, { peer: listener }, { peer: further }] = [
      await start(),
      await start(),
      await start(),
    ];
    await node.announce(VERSION, [watcher, listener, further]);
    await gossipWith(watcher, listener);
    await gossipWith(listener, further);
    watcher.liveness.watch(() => new Set([node.id]));
    await expect.poll(() => watcher.libp2p.getPeers().map(String), SOON).toContain(node.id);
    const startedAtMs = performance.now();
    await node.peer.stop();
    for (const peer of [watcher, listener, further]) {
      await expect.poll(() => knows(peer, node.id), SOON).toBe(false);
    }
    console.info(
      `stopped: out of three views after ${Math.round(performance.now() - startedAtMs)} ms`,
    );
  });
});
