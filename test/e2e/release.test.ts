import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addModel } from '../support/models.ts';
import { ProcessSwarm } from '../support/process-swarm.ts';
import { type CommandResult, runSwarm } from '../support/swarm-command.ts';

const REQUEST = JSON.stringify({
  inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', data: [1, 2, 3, 4] }],
});

/** A channel as the commands tell it. */
interface Channel {
  readonly channel: string;
  readonly version: string;
  readonly weight: number | null;
  readonly previous: string | null;
  readonly guard: Record<string, number> | null;
  readonly ready?: readonly string[];
}

describe('swarm release, in processes of their own', () => {
  let swarm: ProcessSwarm;
  let nodes: string[] = [];

  beforeAll(async () => {
    swarm = await ProcessSwarm.create();
    const started = await Promise.all([swarm.startNode('node-1'), swarm.startNode('node-2')]);
    nodes = started.map(({ id }) => id);
  });
  afterAll(() => swarm[Symbol.asyncDispose]());

  const publisher = (): string[] => ['--data', path.join(swarm.folder, 'publisher')];
  const release = async (...args: string[]): Promise<CommandResult> =>
    swarm.run(['release', ...args, ...publisher(), '--json']);

  /** The channels that a command that went well tells, by name. */
  const channelsOf = (result: CommandResult): Record<string, Channel> => {
    expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
    const { channels } = result.events.at(-1) as { channels: Channel[] };
    return Object.fromEntries(channels.map((channel) => [channel.channel, channel]));
  };
  /** Publishes a model that adds a number; returns its version. */
  const publishAs = async (name: string, addend: number, ...args: string[]): Promise<string> => {
    const folder = path.join(swarm.folder, `model-${name}-${addend}`);
    await mkdir(folder);
    await writeFile(path.join(folder, 'model.onnx'), addModel(addend));
    const result = await swarm.run(['publish', folder, '--name', name, ...args, '--json']);
    expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
    return (result.events.at(-1) as { version: string }).version;
  };
  const sum = async (reference: string): Promise<unknown> => {
    const { stdout, stderr } = await swarm.run(['infer', reference, '--request', '-'], REQUEST);
    expect(stderr).toBe('');
    return (JSON.parse(stdout) as { outputs: { data: number[] }[] }).outputs[0]?.data;
  };

  it('moves a version from canary to stable and back, and remembers how', async () => {
    const v1 = await swarm.publish('adder', { 'model.onnx': addModel(1) });
    const v2 = await publishAs('adder', 2, '--channel', 'canary', '--weight', '5%', ...publisher());

    const canary = channelsOf(
      await release('canary', 'adder', v2, '--weight', '10%', '--max-error-rate', '2%'),
    );
    expect(canary['stable']?.version).toBe(v1.version);
    expect(canary['canary']).toMatchObject({ version: v2, weight: 0.1, previous: v1.version });
    expect(canary['canary']?.guard).toMatchObject({ maxErrorRate: 0.02, minReporters: 3 });

    const status = channelsOf(await release('status', v1.reference));
    expect(status['canary']?.ready?.toSorted()).toEqual(nodes.toSorted());
    expect(status['canary']).toMatchObject({ inUse: v2, guardState: 'watching' });
    expect(status['stable']).toMatchObject({ inUse: v1.version, guardState: null });

    const promoted = channelsOf(await release('promote', 'adder'));
    expect(Object.keys(promoted)).toEqual(['stable']);
    expect(promoted['stable']).toMatchObject({ version: v2, previous: v1.version });
    expect(await sum(`${v1.reference}@stable`)).toEqual([3, 4, 5, 6]);

    const back = channelsOf(await release('rollback', 'adder'));
    expect(back['stable']).toMatchObject({ version: v1.version, guard: null });
    expect(await sum(`${v1.reference}@stable`)).toEqual([2, 3, 4, 5]);

    const history = await release('history', 'adder');
    expect(history.events.map(({ sequence, channel, version }) => [sequence, channel, version]))
      // The latest first; promotion is two moves of one sequence.
      .toEqual([
        [5, 'stable', v1.version],
        [4, 'canary', null],
        [4, 'stable', v2],
        [3, 'canary', v2],
        [2, 'canary', v2],
        [1, 'stable', v1.version],
      ]);

    const diff = await swarm.run(['release', 'diff', v1.version, v2, '--json']);
    expect(diff.events).toContainEqual({
      event: 'change',
      field: 'files.model.onnx',
      kind: 'changed',
      from: expect.stringContaining('sha256'),
      to: expect.stringContaining('sha256'),
    });

    const nowhere = await release('rollback', 'adder');
    expect(nowhere.code).toBe(3);
    expect(nowhere.events.at(-1)).toMatchObject({ event: 'error', code: 'ERR_NOT_FOUND' });
  });

  it('publishes a version under a guard that names the version before', async () => {
    const v1 = await swarm.publish('guarded', { 'model.onnx': addModel(1) });
    const guard = ['--guard', '--min-samples', '20'];
    const v2 = await publishAs('guarded', 2, ...guard, ...publisher());
    const status = channelsOf(await release('status', v1.reference));
    expect(status['stable']).toMatchObject({
      ...{ version: v2, previous: v1.version, guardState: 'watching' },
      guard: { minSamples: 20, minReporters: 3 },
    });
  });

  it('refuses a version that nobody serves, unless it is forced', async () => {
    const { version } = await swarm.publish('lonely', { 'model.onnx': addModel(3) });
    const gone = 'bafyreigfgobggyyn37zoptjtamrw7nuql7qmdocz4nirtx5adrznfpwgme';
    const refused = await release('set', 'lonely', 'stable', gone);
    expect(refused.code).toBe(4);
    expect(refused.events.at(-1)).toMatchObject({
      code: 'ERR_NO_NODE',
      message: `no node is known to serve version ${gone}, which 'stable' is to point at: expected --force`,
    });
    const forced = await release('set', 'lonely', 'stable', gone, '--force');
    expect(channelsOf(forced)['stable']?.version).toBe(gone);
    expect(forced.stderr).toContain('warning: no node is known to serve');
    expect(channelsOf(await release('rollback', 'lonely'))['stable']?.version).toBe(version);
  });

  it('lets a second key publish and move until its certificate is revoked', async () => {
    const { reference, version } = await swarm.publish('shared', { 'model.onnx': addModel(4) });
    const data = ['--data', path.join(swarm.folder, 'ci')];
    const made = await runSwarm(['keys', 'create', 'ci', ...data, '--json']);
    const [{ publisher: id } = { publisher: '' }] = made.events as { publisher: string }[];
    const file = path.join(swarm.folder, 'shared.delegation');
    const delegated = await swarm.run([
      ...['keys', 'delegate', 'shared', '--to', id, '--out', file, ...publisher(), '--json'],
    ]);
    expect(delegated.events.at(-1)).toMatchObject({ delegate: id, untilSequence: 1001, file });

    const asCi = ['--key', 'ci', '--delegation', file, ...data];
    const next = await publishAs('shared', 5, ...asCi);
    expect(await sum(`${reference}@stable`)).toEqual([6, 7, 8, 9]);
    const status = await release('status', reference);
    expect(status.events.at(-1)).toMatchObject({ sequence: 2, delegate: id });
    const rollback = async () => swarm.run(['release', 'rollback', 'shared', ...asCi, '--json']);
    expect(channelsOf(await rollback())['stable']?.version).toBe(version);

    const revoked = await swarm.run(['keys', 'revoke', 'shared', ...publisher(), '--json']);
    expect(revoked.events.at(-1), revoked.stdout).toMatchObject({
      event: 'revoked',
      sequence: 10_004,
    });
    const late = await swarm.run(['release', 'set', 'shared', 'stable', next, ...asCi, '--json']);
    expect(late.code).toBe(5);
    expect(late.events.at(-1)).toMatchObject({ code: 'ERR_INVALID_RECORD' });
    expect(channelsOf(await release('status', 'shared'))['stable']?.version).toBe(version);

    await runSwarm(['keys', 'trust', 'alice', reference.split('/')[0] ?? '', ...data]);
    const named = await swarm.run(['infer', 'alice/shared', '--request', '-', ...data], REQUEST);
    expect(JSON.parse(named.stdout)).toMatchObject({ parameters: { version } });
  });

  it('gives no sequence twice when two commands move one model at once', async () => {
    const { reference } = await swarm.publish('busy', { 'model.onnx': addModel(6) });
    const { channels } = (await release('status', reference)).events.at(-1) as {
      channels: Channel[];
    };
    const version = channels[0]?.version ?? '';
    const results = await Promise.all(
      ['a', 'b', 'c'].map((channel) => release('set', 'busy', channel, version)),
    );
    for (const result of results) channelsOf(result);
    const sequences = results.map(({ events }) => events.at(-1)?.['sequence']);
    expect(new Set(sequences)).toEqual(new Set([2, 3, 4]));
    expect(Object.keys(channelsOf(await release('status', reference))).toSorted()).toEqual([
      ...['a', 'b', 'c', 'stable'],
    ]);
  });
});
