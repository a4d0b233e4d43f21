import { describe, expect, it } from 'vitest';
import { createClient } from '../../src/index.ts';
import { startLoad } from '../support/load.ts';
import { addModel } from '../support/models.ts';
import { ProcessSwarm } from '../support/process-swarm.ts';

const REQUEST = JSON.stringify({
  inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', data: [1, 2, 3, 4] }],
});

describe('A swarm of separate processes with separate data folders', () => {
  it('publishes, outlives its publisher, loses a node under load and takes it back, with no request failed', async () => {
    await using swarm = await ProcessSwarm.create();
    const [first, second] = await Promise.all([
      swarm.startNode('node-1'),
      swarm.startNode('node-2'),
    ]);
    const { reference, version, sequence, replicas } = await swarm.publish('adder', {
      'model.onnx': addModel(),
    });
    expect(sequence).toBe(1);
    expect(replicas.toSorted()).toEqual([first.id, second.id].toSorted());

    // The publisher's process has ended: what follows is served by the nodes alone.
    const infer = () => swarm.run(['infer', reference, '--request', '-'], REQUEST);
    const inferred = await infer();
    expect(inferred, inferred.stderr).toMatchObject({ code: 0 });
    expect(JSON.parse(inferred.stdout)).toMatchObject({
      outputs: [{ name: 'sum', datatype: 'FP32', shape: [1, 4], data: [2, 3, 4, 5] }],
      parameters: { version, sequence: 1 },
    });

    await using client = await createClient({ bootstrap: [swarm.bootstrap.address] });
    const load = startLoad(client, reference);
    await expect
      .poll(() => load.answers.get(first.id) ?? 0, { timeout: 20_000 })
      .toBeGreaterThan(20);
    await first.kill();
    const before = load.total();
    await expect.poll(() => load.total(), { timeout: 20_000 }).toBeGreaterThan(before + 200);

    const returned = await swarm.startNode('node-1');
    expect(returned.id).toBe(first.id);
    await using neighbour = await createClient({ bootstrap: [returned.address] });
    const isReady = async () =>
      (await neighbour.replicas()).some(
        ({ node, version: held }) =>
          node.announcement.node === returned.id && held.state === 'ready',
      );
    await expect.poll(isReady, { timeout: 20_000 }).toBe(true);
    await second.kill();
    const seen = load.answers.get(first.id) ?? 0;
    await expect
      .poll(() => load.answers.get(first.id) ?? 0, { timeout: 60_000 })
      .toBeGreaterThan(seen + 20);
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(load.wrong).toBe(0);

    const again = await infer();
    expect(again, again.stderr).toMatchObject({ code: 0 });
    expect(JSON.parse(again.stdout)).toMatchObject({ parameters: { node: first.id, version } });
  });

  it('hides from its callers that a node froze', async () => {
    await using swarm = await ProcessSwarm.create();
    const [first] = await Promise.all([swarm.startNode('node-1'), swarm.startNode('node-2')]);
    const { reference } = await swarm.publish('adder', { 'model.onnx': addModel() });
    await using client = await createClient({ bootstrap: [swarm.bootstrap.address] });
    const load = startLoad(client, reference);
    await expect
      .poll(() => load.answers.get(first.id) ?? 0, { timeout: 20_000 })
      .toBeGreaterThan(20);
    process.kill(first.pid, 'SIGSTOP');
    const before = load.total();
    await expect.poll(() => load.total(), { timeout: 30_000 }).toBeGreaterThan(before + 500);
    await load.stop();
    process.kill(first.pid, 'SIGCONT');
    expect(load.failures).toEqual([]);
    expect(load.wrong).toBe(0);
  });
});
