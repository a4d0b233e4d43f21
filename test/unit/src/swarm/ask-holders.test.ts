import { describe, expect, it } from 'vitest';
import type { ReplicaState } from '../../../../protocols/capacity/index.ts';
import { ConnectionError } from '../../../../protocols/errors.ts';
import type { NodeId } from '../../../../protocols/types.ts';
import { askHolders } from '../../../../src/swarm/ask-holders.ts';
import type { SwarmPeer } from '../../../../src/swarm/peer.ts';
import { SwarmView } from '../../../../src/swarm/view.ts';
import { announcement, VERSION } from '../../../vectors/capacity.ts';

describe('askHolders', () => {
  it('asks who has all of a version first, who fetches it next, and never itself', async () => {
    const view = new SwarmView();
    const states: Readonly<Record<string, ReplicaState>> = {
      ...{ itself: 'ready', fetching: 'loading', ready: 'ready', cold: 'cold' },
    };
    for (const [node, state] of Object.entries(states)) {
      const said = { ...announcement, node: node as NodeId, versions: [{ ...VERSION, state }] };
      view.add(said, new Uint8Array(), Date.now());
    }
    const asked: string[] = [];
    const openStream = async (holder: string): Promise<never> => {
      asked.push(holder);
      throw new ConnectionError('it has gone');
    };
    const peer = { id: 'itself', view, openStream } as unknown as SwarmPeer;
    const { signal } = new AbortController();
    await expect(
      askHolders(peer, VERSION.cid, 'its manifest', async () => 'answer', { signal }),
    ).rejects.toMatchObject({
      code: 'ERR_NO_NODE',
      details: { failures: ['ready', 'cold', 'fetching'].map((id) => `${id}: it has gone`) },
    });
    expect(asked).toEqual(['ready', 'cold', 'fetching']);
  });
});
