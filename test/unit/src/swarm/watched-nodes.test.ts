import { afterEach, describe, expect, it, vi } from 'vitest';
import type { NodeId } from '../../../../protocols/types.ts';
import type { SwarmPeer } from '../../../../src/swarm/peer.ts';
import { WatchedNodes } from '../../../../src/swarm/watched-nodes.ts';

const NODE = '12D3watched' as NodeId;

/** Watches one node to which a stream is opened as a test says. */
function watch(openStream: SwarmPeer['openStream']) {
  const losses: string[] = [];
  const watched = new WatchedNodes(
    { openStream },
    { plan: () => new Set([NODE]), onLost: (_node, loss) => losses.push(loss) },
  );
  watched.look();
  return { watched, losses };
}

describe('WatchedNodes', () => {
  afterEach(() => void vi.restoreAllMocks());

  it('takes a node that refuses a stream for one that closed, whose connections are in use', async () => {
    const { watched, losses } = watch(async () => {
      throw Object.assign(new Error('no such protocol'), { name: 'UnsupportedProtocolError' });
    });
    await vi.waitFor(() => expect(losses).toEqual(['closed']));
    watched.stop();
  });

  it('takes a node that opens none in time for a silent one', async () => {
    const time = new AbortController();
    vi.spyOn(AbortSignal, 'timeout').mockReturnValue(time.signal);
    const { watched, losses } = watch(async (_peer, _name, _version, signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      throw signal.reason;
    });
    expect(losses).toEqual([]);
    time.abort(new DOMException('it took too long', 'TimeoutError'));
    await vi.waitFor(() => expect(losses).toEqual(['silent']));
    watched.stop();
  });
});
