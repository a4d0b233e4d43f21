import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { createClient, Tensor } from '../../src/index.ts';
import { buildModel } from '../support/onnx-builder.ts';
import { ProcessSwarm } from '../support/process-swarm.ts';

const ROWS = 16_384;
const COLUMNS = 17_000;
const WEIGHT_BYTES = 4 * ROWS * COLUMNS;
const GIB = 1024 ** 3;

/** Most bytes a process ever had resident. */
async function peakBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

/** `y FP32 [batch, COLUMNS] = x FP32 [batch, ROWS] · w`, `w` in a file of its own: zeros but for its last element, 3. */
async function writeLargeModel(folder: string): Promise<void> {
  await mkdir(folder);
  const model = buildModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', ROWS] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', COLUMNS] }],
    nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
    initializers: [
      {
        name: 'w',
        datatype: 'FP32',
        shape: [ROWS, COLUMNS],
        external: { location: 'weights.bin', offset: 0, length: WEIGHT_BYTES },
      },
    ],
  });
  await writeFile(path.join(folder, 'model.onnx'), model);
  const weights = await open(path.join(folder, 'weights.bin'), 'w');
  try {
    await weights.truncate(WEIGHT_BYTES);
    await weights.write(new Uint8Array(Float32Array.of(3).buffer), 0, 4, WEIGHT_BYTES - 4);
  } finally {
    await weights.close();
  }
}

describe.skipIf(process.platform !== 'linux')('Weights over 1 GiB (needs /proc)', () => {
  it('are published, moved and served without any process of ours holding the file in memory', async () => {
    expect(WEIGHT_BYTES).toBeGreaterThan(GIB);
    await using swarm = await ProcessSwarm.create();
    const node = await swarm.startNode('node-1');
    const folder = path.join(swarm.folder, 'large');
    await writeLargeModel(folder);
    const published = await swarm.run([
      ...['publish', folder, '--name', 'large', '--data', path.join(swarm.folder, 'publisher')],
      '--json',
    ]);
    expect(published.code, published.stderr).toBe(0);
    const { publisher } = published.events.at(-1) ?? {};

    await using client = await createClient({ bootstrap: [swarm.bootstrap.address] });
    const x = Tensor.from('FP32', [1, ROWS], new Float32Array(ROWS).fill(2));
    const { outputs } = await client.infer(`${String(publisher)}/large`, { x });
    const y = outputs['y']?.data;
    expect(y).toHaveLength(COLUMNS);
    expect([y?.[0], y?.[COLUMNS - 2], y?.[COLUMNS - 1]]).toEqual([0, 0, 6]);
    expect(await peakBytes(node.pid)).toBeLessThan(GIB / 2);
  });
});
