import { describe, expect, it } from 'vitest';
import type { VersionCid } from '../../protocols/types.ts';
import { createClient } from '../../src/index.ts';
import { startLoad } from '../support/load.ts';
import { addModel } from '../support/models.ts';
import { ProcessSwarm } from '../support/process-swarm.ts';
import type { Daemon } from '../support/swarm-command.ts';

const NAMES = ['node-0', 'node-1', 'node-2'] as const;

/** What a package has that says nothing of it. */
const MIN_REPLICAS = 2;

/** How a node is told to go, and that it went in order. */
const ENDINGS: readonly {
  readonly name: string;
  readonly end: (node: Daemon, name: string, swarm: ProcessSwarm) => Promise<void> | void;
}[] = [
  { name: 'SIGTERM', end: ({ pid }) => void process.kill(pid, 'SIGTERM') },
  {
    name: '`swarm node drain`',
    end: async (_, name, swarm) => {
      const drained = await swarm.runAlone(['node', 'drain', '--data', name, '--json']);
      expect(drained, drained.stderr).toMatchObject({ code: 0 });
      expect(drained.events.at(-1)).toEqual({ event: 'drain', owed: [] });
    },
  },
];

describe.skipIf(process.platform === 'win32').each(ENDINGS)(
  'A rolling restart by $name',
  ({ end }) => {
    it('of every node under load fails no request, without anybody waiting for a node to be READY', async () => {
      await using swarm = await ProcessSwarm.create();
      const nodes = await Promise.all(
        NAMES.map((name) => swarm.startNode(name, '--scaling', 'on')),
      );
      const { reference, version } = await swarm.publish('adder', { 'model.onnx': addModel() }, [
        ...['--replicas', String(NAMES.length)],
      ]);
      await using client = await createClient({ bootstrap: [swarm.bootstrap.address] });
      const load = startLoad(client, reference);
      await expect.poll(() => load.total(), { timeout: 30_000 }).toBeGreaterThan(50);
      for (const [index, name] of NAMES.entries()) {
        const node = nodes[index];
        if (node === undefined) throw new Error(`${name} was not started`);
        await end(node, name, swarm);
        expect(await node.ended).toBe('exit code 0');
        // As many as the publisher wants at least are there without it, the one before it among them, for which nobody waited.
        const others = client
          .ready(version as VersionCid)
          .filter((replica) => replica.node.announcement.node !== node.id);
        expect(others.length).toBeGreaterThanOrEqual(MIN_REPLICAS);
        const again = await swarm.startNode(name, '--scaling', 'on');
        expect(again.id).toBe(node.id);
      }
      const before = load.total();
      await expect.poll(() => load.total(), { timeout: 30_000 }).toBeGreaterThan(before + 200);
      await load.stop();
      expect(load.failures).toEqual([]);
      expect(load.wrong).toBe(0);
      console.info(`${load.total()} requests over ${NAMES.length} restarts, none failed`);
    });
  },
);
