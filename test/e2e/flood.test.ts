import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { DEFAULT_BODY_BUDGET_BYTES } from '../../protocols/inference/index.ts';
import {
  MAX_FRAME_BYTES,
  MAX_STREAMS_PER_CALLER,
  MAX_UNASKED_BYTES_PER_CALLER,
  PAUSE_UNSENT_BYTES,
} from '../../protocols/limits.ts';
import { createClient, type SwarmClient, Tensor } from '../../src/index.ts';
import { addModel, slowModel } from '../support/models.ts';
import { ProcessSwarm } from '../support/process-swarm.ts';

const MIB = 1024 * 1024;
const FLOODER = fileURLToPath(new URL('../support/flood-process.ts', import.meta.url));

/** What stays resident under any load, before it is collected. */
const SLACK_BYTES = 96 * MIB;

/** Of each stream: what its window lets come while it is paused, what waits for a caller that does not read, one frame. */
const STREAM_BYTES = 4 * MIB + 2 * PAUSE_UNSENT_BYTES + MAX_FRAME_BYTES;

/** What one caller can have a node hold, whatever it sends; the half of the body budget is the most of it. */
const HELD_BYTES =
  DEFAULT_BODY_BUDGET_BYTES / 2 +
  MAX_UNASKED_BYTES_PER_CALLER +
  MAX_STREAMS_PER_CALLER * STREAM_BYTES;

/** Of what was held and no longer is, V8 lets as much again lie before it collects. Without the limits it was 1.4 GiB. */
const BOUND_BYTES = 2 * HELD_BYTES + SLACK_BYTES;

/** Rounds of both questions that others ask while the flood lasts. */
const ROUNDS = 250;

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

/** A process that sends requests for a version to a node as fast as it can, heeding no answer; ends with its scope. */
async function startFlood(address: string, version: string): Promise<AsyncDisposable> {
  const args = ['--conditions=swarm-source', FLOODER, address, version];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  await Promise.race([once(child.stdout, 'data'), ended]);
  expect(child.exitCode).toBeNull();
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Asks a model that nobody floods, and the one that is. */
async function askBoth(client: SwarmClient, adder: string, slow: string): Promise<void> {
  const row = Tensor.from('FP32', [1, 4], [1, 2, 3, 4]);
  const { outputs } = await client.infer(adder, { x: row });
  expect(outputs['sum']?.toArray()).toEqual([2, 3, 4, 5]);
  const answer = await client.infer(slow, { x: row });
  expect(answer.outputs['y']?.toArray()).toEqual([1_001, 1_002, 1_003, 1_004]);
}

describe.skipIf(process.platform !== 'linux')('A node process (needs /proc)', () => {
  it('holds no more of a caller that floods it than the limits say, and answers all others meanwhile', async () => {
    await using swarm = await ProcessSwarm.create();
    const node = await swarm.startNode('node-1');
    const adder = await swarm.publish('adder', { 'model.onnx': addModel() });
    const slow = await swarm.publish('slow', { 'model.onnx': slowModel(1_000) });
    await using client = await createClient({ bootstrap: [swarm.bootstrap.address] });
    const ask = async (): Promise<void> => askBoth(client, adder.reference, slow.reference);
    for (let round = 0; round < 50; round += 1) await ask();
    const before = await residentBytes(node.pid);
    let peak = 0;
    for (let flood = 0; flood < 3; flood += 1) {
      await using _flood = await startFlood(node.address, slow.version);
      for (let round = 0; round < ROUNDS; round += 1) {
        await ask();
        peak = Math.max(peak, (await residentBytes(node.pid)) - before);
      }
    }
    expect(peak).toBeLessThan(BOUND_BYTES);
  });
});
