import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LoadedModel } from '../../../../../node/backend/backend.ts';
import { controlAddress } from '../../../../../node/control/control-address.ts';
import { ControlServer } from '../../../../../node/control/control-server.ts';
import { nodeVerbs } from '../../../../../node/control/node-verbs.ts';
import { Replica } from '../../../../../node/replica/replica.ts';
import { VersionQueue } from '../../../../../node/scheduler/version-queue.ts';
import type { PublisherId, VersionCid } from '../../../../../protocols/types.ts';
import {
  runNodePause,
  runNodeResume,
  runNodeStatus,
} from '../../../../../src/cli/commands/node-control.ts';
import { present } from '../../../../support/present.ts';
import { createTestFolder } from '../../../../support/test-folder.ts';
import { createTestContext, events } from '../command-host.ts';

const IDLE_MODEL: LoadedModel = {
  inputs: [],
  outputs: [],
  provider: 'cpu',
  memoryBytes: null,
  state: 'ready',
  onStateChange: () => {},
  run: () => Promise.reject(new Error('expected no run')),
  unload: async () => {},
};

describe('swarm node status, pause and resume', () => {
  let folder: Awaited<ReturnType<typeof createTestFolder>>;
  let server: ControlServer | undefined;
  let reason: string | undefined;
  let loaded: Replica;

  const serve = async (): Promise<void> => {
    const replica = new Replica({
      publisher: 'publisher' as PublisherId,
      name: 'digits',
      cid: 'bafy' as VersionCid,
    });
    loaded = new Replica({
      publisher: 'publisher' as PublisherId,
      name: 'adder',
      cid: 'bafz' as VersionCid,
    });
    await replica.quarantine('2 crashes in a row');
    server = await ControlServer.start({
      address: present(controlAddress(folder.path)),
      logger: pino({ level: 'silent' }),
      verbs: nodeVerbs({
        pause: {
          get reason() {
            return reason;
          },
          pause: async () => {
            reason = 'its owner paused it';
          },
          resume: async () => {
            reason = undefined;
          },
        },
        orders: { cordoned: true, pinned: ['bafz' as VersionCid], forbidden: [] },
        handover: { leaving: false },
        facts: () => ({
          node: '12D3KooWnode',
          devices: [],
          cores: { total: 7, busy: 2 },
          memory: [
            { pool: 'host', totalBytes: 2 ** 30, usedBytes: 2 ** 20 },
            { pool: 'gpu0', totalBytes: null, usedBytes: 0 },
          ],
          ...{ costPerHour: 0.1 + 0.2, watts: 1_000 },
          plan: [
            {
              ...{ publisher: 'publisher' as PublisherId, name: 'digits' },
              ...{ cid: 'bafy' as VersionCid, desired: 3, have: 1, panic: false },
              ...{ desiredPerS: 30, havePerS: 10 },
              unplaceable: {
                ...({ count: 2, hindrance: 'memory' } as const),
                reason: 'no further node with 8 GiB of memory free',
              },
            },
          ],
        }),
        replicas: () => [replica, loaded],
      }),
    });
  };
  const run = async (command: typeof runNodeStatus, json = false) => {
    const { context, written } = await createTestContext({ data: folder.path }, { json });
    await command(context);
    return written;
  };

  beforeEach(async () => {
    folder = await createTestFolder();
    reason = undefined;
  });
  afterEach(async () => {
    await server?.stop();
    server = undefined;
    await folder[Symbol.asyncDispose]();
  });

  it('tells what is in memory, of which total, and why a version is not', async () => {
    await serve();
    const { stdout: out } = await run(runNodeStatus);
    expect(out).toContain('serving, and takes no further versions: it is cordoned');
    expect(out).toMatch(/pinned +bafz/);
    expect(out).toMatch(/cores +2 of 7 busy/);
    expect(out).toMatch(/memory of host +1\.00? ?MiB of 1\.00? ?GiB/);
    expect(out).toMatch(/memory of gpu0 +0 B of unknown/);
    expect(out).toMatch(/cost per hour +0\.3, of 1000 W\n/);
    expect(out).toMatch(/digits +bafy +quarantined +- +- +- +0 +0 +2 crashes in a row/);
  });

  it('tells what demand asks for in the swarm, and what there is no place for', async () => {
    await serve();
    expect((await run(runNodeStatus)).stdout).toMatch(
      /digits +3 +1 +no place for 2: no further node with 8 GiB of memory free/,
    );
    const [event] = events((await run(runNodeStatus, true)).stdout);
    expect(event).toMatchObject({ plan: [{ desired: 3, have: 1, unplaceable: { count: 2 } }] });
  });

  it('tells how many rows of a loaded version run together', async () => {
    await serve();
    const batching = { axis: 0, maxRows: 16, maxDelayMs: 0 };
    const init = { maxQueued: 8, executionLimitMs: 1_000, batching };
    loaded.loaded(IDLE_MODEL, new VersionQueue(IDLE_MODEL, init));
    expect((await run(runNodeStatus)).stdout).toMatch(/adder +bafz +ready +cpu +- +16 +0 +0 +-/);
    const [event] = events((await run(runNodeStatus, true)).stdout);
    expect(event).toMatchObject({ versions: [{ maxRows: null }, { maxRows: 16 }] });
  });

  it('pauses and resumes the node that runs, and tells programs the same', async () => {
    await serve();
    expect((await run(runNodePause)).stdout).toContain('paused: its owner paused it');
    expect(events((await run(runNodeStatus, true)).stdout)).toMatchObject([
      { event: 'node', paused: 'its owner paused it', versions: [{ state: 'quarantined' }, {}] },
    ]);
    expect(events((await run(runNodeResume, true)).stdout)).toMatchObject([{ paused: null }]);
  });

  it('fails where no node runs', async () => {
    await expect(run(runNodePause)).rejects.toThrow(
      `no node runs with the data folder ${folder.path}`,
    );
  });
});
