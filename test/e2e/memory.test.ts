import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { daemonNodeOptions } from '../../src/cli/garbage-collection.ts';
import { createClient, Tensor } from '../../src/index.ts';
import { addModel } from '../support/models.ts';
import { ProcessSwarm } from '../support/process-swarm.ts';

const MIB = 1024 * 1024;

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

describe.skipIf(process.platform !== 'linux')('A node process (needs /proc)', () => {
  it('starts with its space for new objects bounded, as the process that was started', async () => {
    await using swarm = await ProcessSwarm.create();
    const command = await readFile(`/proc/${swarm.bootstrap.pid}/cmdline`, 'utf8');
    expect(command.split('\0')).toEqual(
      expect.arrayContaining([...daemonNodeOptions('bootstrap'), 'bootstrap']),
    );
  });

  it('has its memory back after a storm of bad requests, and answers the good ones', async () => {
    await using swarm = await ProcessSwarm.create();
    const node = await swarm.startNode('node-1');
    const { reference } = await swarm.publish('adder', { 'model.onnx': addModel() });
    await using client = await createClient({ bootstrap: [swarm.bootstrap.address] });
    const good = Tensor.from('FP32', [16_384, 4], new Float32Array(65_536).fill(1));
    const ask = async () => {
      const { outputs } = await client.infer(reference, { x: good });
      expect(outputs['sum']?.data[65_535]).toBe(2);
    };
    const warmUp = async () => {
      for (let index = 0; index < 50; index += 1) await ask();
    };
    await warmUp();
    const before = await residentBytes(node.pid);

    const bad: Record<string, Tensor>[] = [
      { y: good },
      { x: Tensor.from('FP64', [8_192, 4], new Float64Array(32_768)) },
      { x: Tensor.from('FP32', [13_107, 5], new Float32Array(65_535)) },
      { x: good, z: good },
      {},
    ];
    // 2 000 requests of 256 KiB and more: half a gigabyte, were any of it kept.
    for (let round = 0; round < 40; round += 1) {
      const calls = Array.from({ length: 50 }, (_, index) =>
        client.infer(reference, bad[index % bad.length] ?? {}).then(
          () => 'answered',
          (error: { code: string }) => error.code,
        ),
      );
      expect(new Set(await Promise.all(calls))).toEqual(new Set(['ERR_INVALID_INPUT']));
    }
    // Abandoned in the middle: bodies that were granted room and never came whole.
    for (let round = 0; round < 20; round += 1) {
      const calls = Array.from({ length: 10 }, () => {
        const giveUp = new AbortController();
        setImmediate(() => giveUp.abort());
        return client.infer(reference, { x: good }, { signal: giveUp.signal }).catch(() => 'gone');
      });
      await Promise.all(calls);
    }
    await warmUp();
    await expect
      .poll(async () => (await residentBytes(node.pid)) - before, { timeout: 30_000 })
      .toBeLessThan(96 * MIB);
  });
});
