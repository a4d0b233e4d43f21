import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { Handover, type HandoverComponents } from '../../../node/handover.ts';
import type { Announcement } from '../../../protocols/capacity/index.ts';
import type { NodeId } from '../../../protocols/types.ts';
import type { SwarmPeer } from '../../../src/swarm/peer.ts';
import { SwarmView } from '../../../src/swarm/view.ts';
import { smallManifest } from '../../vectors/manifest.ts';
import { announcement, STRANGER, VERSION } from '../../vectors/capacity.ts';

const manifest = { ...smallManifest, deployment: { minReplicas: 2, memoryBytes: 1_000_000_000 } };

/** A node that serves one version of at least two replicas, and what it hears of others. */
function open({ released = true, timeoutMs = 10_000 } = {}) {
  const view = new SwarmView();
  let sequence = 0;
  let announced = 0;
  const recruited: number[] = [];
  const hear = (node: NodeId, more: Partial<Announcement>): void => {
    sequence += 1;
    const said = { ...announcement, node, sequence, leaseMs: 60_000, state: 'serving' as const };
    view.add({ ...said, ...more }, new Uint8Array(), Date.now());
  };
  const components: HandoverComponents = {
    peer: {
      ...{ id: announcement.node, view },
      recruits: {
        publish: async ({ deficit }: { readonly deficit: number }) => void recruited.push(deficit),
      } as unknown as SwarmPeer['recruits'],
    },
    replicas: {
      replicas: [
        {
          origin: VERSION,
          state: 'ready',
          standing: { busy: false, lastUsedMs: performance.now(), uses: 1, loadMs: 1 },
        },
      ],
    },
    manifest: async () => manifest,
    isReleased: async () => released,
    announce: () => (announced += 1),
    logger: pino({ level: 'silent' }),
  };
  const handover = new Handover(components, { timeoutMs });
  const others = ['12D3first', '12D3second'] as NodeId[];
  const run = async (): Promise<number[]> => {
    const owed = [];
    for await (const progress of handover.watch()) owed.push(progress.owed.length);
    return owed;
  };
  return { handover, hear, run, others, recruited, told: () => announced };
}

const ready = { versions: [{ ...VERSION, state: 'ready' as const }] };
const loading = { versions: [{ ...VERSION, state: 'loading' as const }] };

describe('Handover', () => {
  it('tells that the node leaves, and waits until others that stay are as many as the publisher wants', async () => {
    const { handover, hear, others, told } = open();
    for (const other of others) hear(other, loading);
    const steps = handover.watch();
    expect(await steps.next()).toMatchObject({ value: { owed: [{ ready: 0, takers: 2 }] } });
    expect(handover.leaving).toBe(true);
    expect(told()).toBe(1);
    for (const other of others) hear(other, ready);
    expect(await steps.next()).toMatchObject({ value: { owed: [] } });
    expect((await steps.next()).done).toBe(true);
  });

  it('waits for nodes that have room for what it serves, and tells them; not for those that have none', async () => {
    const { hear, run, others, recruited } = open({ timeoutMs: 500 });
    const [first, second] = others as [NodeId, NodeId];
    const full = { versions: [], roomBytes: 1 };
    hear(first, full);
    hear(second, { ...full, roomBytes: 2_000_000_000, cordoned: true });
    expect(await run()).toEqual([0]);
    hear(second, { ...full, roomBytes: 2_000_000_000 });
    expect(await run()).toEqual([1]);
    expect(recruited).toContain(2);
  });

  it('counts nobody who leaves too', async () => {
    const { hear, run, others } = open({ timeoutMs: 0 });
    for (const other of others) hear(other, { ...ready, leaving: true });
    hear(STRANGER, loading);
    expect(await run()).toEqual([1]);
  });

  it('ends with what is left undone when its node stops', async () => {
    const { handover, hear, run, others } = open();
    for (const other of others) hear(other, loading);
    const running = run();
    await handover.stop();
    expect(await running).toEqual([1]);
  });

  it('waits for nobody where no channel points at what it serves', async () => {
    const { hear, run } = open({ released: false });
    hear(STRANGER, loading);
    expect(await run()).toEqual([0]);
  });
});
