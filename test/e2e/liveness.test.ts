import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openAnnouncement } from '../../protocols/capacity/index.ts';
import type { NodeId, VersionCid } from '../../protocols/types.ts';
import { createClient, type SwarmClient, Tensor } from '../../src/index.ts';
import type { SwarmPeer } from '../../src/swarm/peer.ts';
import { createAnnouncedPeer } from '../support/announced-peer.ts';
import { addModel } from '../support/models.ts';
import { ProcessSwarm } from '../support/process-swarm.ts';
import type { Daemon } from '../support/swarm-command.ts';

/** Milliseconds between announcements: a lease lasts a minute and a half, so that none ends during a test. */
const ANNOUNCE_INTERVAL = ['--announce-interval', '30000'];

/** Within seconds and not within a lease: twice what is promised, for a machine that does much besides. */
const SECONDS = { timeout: 10_000, interval: 50 };

const READY = { timeout: 60_000, interval: 100 };

const row = Tensor.from('FP32', [1, 4], [1, 2, 3, 4]);

interface Strike {
  readonly name: string;
  readonly strike: (victim: Daemon) => Promise<void> | void;
  readonly heal: (victim: Daemon, swarm: ProcessSwarm) => unknown;
}

const STRIKES: readonly Strike[] = [
  {
    name: 'freezes',
    strike: ({ pid }) => void process.kill(pid, 'SIGSTOP'),
    heal: ({ pid }) => process.kill(pid, 'SIGCONT'),
  },
  {
    name: 'is killed',
    strike: (victim) => victim.kill(),
    heal: (_, swarm) => swarm.startNode('victim', ...ANNOUNCE_INTERVAL),
  },
];

/** The nodes that a peer tells of when it is asked. */
async function toldBy(onlooker: SwarmPeer, asked: string): Promise<NodeId[]> {
  const signal = AbortSignal.timeout(5_000);
  const { announcements } = await onlooker.snapshot(asked, { kind: 'nodes' }, signal);
  const opened = await Promise.all(announcements.map(({ bytes }) => openAnnouncement(bytes)));
  return opened.map(({ node }) => node);
}

describe.skipIf(process.platform === 'win32')('A holder of a version that', () => {
  let swarm: ProcessSwarm;
  let victim: Daemon;
  let coHolders: Daemon[];
  let user: SwarmClient;
  let onlooker: SwarmPeer;
  let cid: VersionCid;

  beforeAll(async () => {
    swarm = await ProcessSwarm.create();
    const names = ['victim', 'co-holder-1', 'co-holder-2'];
    const nodes = names.map((name) => swarm.startNode(name, ...ANNOUNCE_INTERVAL));
    const [first, ...others] = await Promise.all(nodes);
    if (first === undefined) throw new Error('no node was started');
    victim = first;
    coHolders = others;
    const { reference, version } = await swarm.publish('adder', { 'model.onnx': addModel() }, [
      ...['--replicas', '3'],
    ]);
    cid = version as VersionCid;
    user = await createClient({ bootstrap: [swarm.bootstrap.address] });
    const asked = { deadlineMs: 30_000, prefer: { nodes: [victim.id] } };
    await user.infer(reference, { x: row }, asked);
    const bootstrap = [swarm.bootstrap, ...coHolders].map(({ address }) => address);
    ({ peer: onlooker } = await createAnnouncedPeer('main', { bootstrap, listen: [] }));
    await onlooker.connected(AbortSignal.timeout(10_000));
  });
  afterAll(async () => {
    await user.close();
    await onlooker.stop();
    await swarm[Symbol.asyncDispose]();
  });

  const seenByUser = (): string[] => user.ready(cid).map(({ node }) => node.announcement.node);

  it.each(STRIKES)(
    '$name leaves the views of its co-holders, its users and the way in within seconds, and is back in them when it is well',
    async ({ strike, heal }) => {
      await expect.poll(seenByUser, READY).toContain(victim.id);
      for (const { id } of [...coHolders, swarm.bootstrap]) {
        await expect.poll(() => toldBy(onlooker, id), READY).toContain(victim.id);
      }
      const startedAtMs = performance.now();
      const gone = async (who: string, seen: () => Promise<string[]> | string[]): Promise<void> => {
        await expect.poll(seen, SECONDS).not.toContain(victim.id);
        console.info(`${who}: after ${Math.round(performance.now() - startedAtMs)} ms`);
      };
      await strike(victim);
      await Promise.all([
        gone('a user', seenByUser),
        ...coHolders.map(({ id }) => gone('a co-holder', () => toldBy(onlooker, id))),
        gone('the bootstrap server', () => toldBy(onlooker, swarm.bootstrap.id)),
      ]);
      await heal(victim, swarm);
      for (const { id } of [...coHolders, swarm.bootstrap]) {
        await expect.poll(() => toldBy(onlooker, id), READY).toContain(victim.id);
      }
      await expect.poll(seenByUser, READY).toContain(victim.id);
    },
  );
});
