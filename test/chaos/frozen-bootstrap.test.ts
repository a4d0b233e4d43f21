import { expect, it } from 'vitest';
import { type CallProgress, createClient } from '../../src/index.ts';
import { keepUntilTestEnds } from '../support/kept.ts';
import { loopModel } from '../support/models.ts';
import { ProcessSwarm } from '../support/process-swarm.ts';

/** Much longer than a call takes on a busy machine, and shorter than peers and DHT take to be given up. */
const DEADLINE_MS = 4_000;

/** Milliseconds of calls: longer than what is known counts as fresh, and than all look-ups that then come to nothing. */
const CALLS_MS = 20_000;

const keep = keepUntilTestEnds();

it.skipIf(process.platform === 'win32')(
  'A client in use is answered by the node that is well while the bootstrap server and the other node are frozen',
  async () => {
    const swarm = keep(await ProcessSwarm.create());
    const [well, frozen] = await Promise.all([swarm.startNode('well'), swarm.startNode('frozen')]);
    const { reference } = await swarm.publish('loop', { 'model.onnx': loopModel() }, [
      ...['--replicas', '2'],
    ]);
    const client = keep(await createClient({ bootstrap: [swarm.bootstrap.address] }));
    const call = async (nodes: readonly string[], story: string[] = []): Promise<string> => {
      const onProgress = (event: CallProgress): void => void story.push(toWords(event));
      const options = { deadlineMs: DEADLINE_MS, prefer: { nodes }, onProgress };
      const { outputs, node } = await client.infer(reference, { trips: 5n }, options);
      expect(outputs['n']?.toArray()).toEqual([5n]);
      return node;
    };
    await expect.poll(() => call([frozen.id]), { timeout: 60_000 }).toBe(frozen.id);
    await expect.poll(() => call([well.id]), { timeout: 60_000 }).toBe(well.id);

    const struck = [swarm.bootstrap, frozen];
    for (const { pid } of struck) process.kill(pid, 'SIGSTOP');
    const failures: string[] = [];
    try {
      const endMs = performance.now() + CALLS_MS;
      while (performance.now() < endMs) {
        const story: string[] = [];
        await call([], story).catch((error: unknown) => {
          failures.push([String(error), ...story].join('; '));
        });
      }
    } finally {
      for (const { pid } of struck) process.kill(pid, 'SIGCONT');
    }
    expect(failures).toEqual([]);
    expect(await call([well.id])).toBe(well.id);
  },
);

/** What a call that failed had done. */
function toWords(event: CallProgress): string {
  const node = 'node' in event ? ` ${event.node.slice(-6)}` : '';
  return `${Math.round(event.elapsedMs)} ms ${event.kind}${node}`;
}
