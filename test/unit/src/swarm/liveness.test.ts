import { generateKeyPair } from '@libp2p/crypto/keys';
import type { Connection } from '@libp2p/interface';
import { expect, it, vi } from 'vitest';
import type { Announcement } from '../../../../protocols/capacity/index.ts';
import { encodeDeathReport } from '../../../../protocols/liveness/index.ts';
import type { NodeId } from '../../../../protocols/types.ts';
import { peerIdText } from '../../../../src/swarm/identity.ts';
import { Liveness, type LivenessPeer } from '../../../../src/swarm/liveness.ts';
import { SwarmView } from '../../../../src/swarm/view.ts';

const newId = async () => peerIdText(await generateKeyPair('Ed25519')) as NodeId;

it('Liveness holds it against nobody that it cannot look for all whom a report says to be gone', async () => {
  const dials: PromiseWithResolvers<Connection>[] = [];
  const own = await newId();
  const view = new SwarmView();
  const libp2p = {
    ...{ peerId: { toString: () => own }, getConnections: () => [] },
    ...{ addEventListener: () => {}, removeEventListener: () => {} },
    dial: () => {
      const dial = Promise.withResolvers<Connection>();
      dials.push(dial);
      return dial.promise;
    },
  };
  const gossip = { has: () => false };
  const liveness = new Liveness({
    libp2p,
    view,
    gossip,
    network: 'main',
  } as unknown as LivenessPeer);
  const nodes = await Promise.all(Array.from({ length: 100 }, newId));
  for (const node of nodes) {
    const announcement = { node, sequence: 1, leaseMs: 60_000, addresses: [], versions: [] };
    view.add(announcement as unknown as Announcement, new Uint8Array(), Date.now());
  }
  const tell = (node: NodeId) =>
    liveness.reports.receive(encodeDeathReport({ node, salt: 1 }), 'a neighbour of the rack');
  for (const node of nodes) tell(node);
  await vi.waitFor(() => expect(dials).toHaveLength(64));
  for (const dial of dials) dial.reject(new Error('nobody there'));
  await vi.waitFor(() => expect(view.nodes(Date.now())).toHaveLength(36));
  const [unlooked] = view.nodes(Date.now());
  if (unlooked !== undefined) tell(unlooked.announcement.node);
  await vi.waitFor(() => expect(dials).toHaveLength(65));
  dials.at(-1)?.reject(new Error('nobody there'));
  await vi.waitFor(() => expect(view.nodes(Date.now())).toHaveLength(35));
  liveness.stop();
});
