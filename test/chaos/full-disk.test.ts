import { spawnSync } from 'node:child_process';
import { mkdir, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { keepUntilTestEnds } from '../support/kept.ts';
import { addModel } from '../support/models.ts';
import { ProcessSwarm } from '../support/process-swarm.ts';
import { createTestFolder } from '../support/test-folder.ts';

/** Bytes of the node's disk: what it keeps for the system, and as much again. */
const DISK_BYTES = 128 * 1024 * 1024;

const REQUEST = JSON.stringify({
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4], data: [1, 2, 3, 4] }],
});

const keep = keepUntilTestEnds();

/** Mounts a disk of its own on a folder; false where this user may not. */
async function mountDisk(folder: string): Promise<boolean> {
  await mkdir(folder, { recursive: true });
  const options = `size=${DISK_BYTES}`;
  return spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'none', folder]).status === 0;
}

async function canMount(): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  await using folder = await createTestFolder();
  if (!(await mountDisk(folder.path))) return false;
  spawnSync('umount', [folder.path]);
  return true;
}

/** Writes to a file until the disk takes no more. */
async function fill(file: string): Promise<void> {
  await using handle = await open(file, 'w');
  for (const bytes of [1024 * 1024, 1024, 1]) {
    const piece = Buffer.alloc(bytes);
    try {
      for (;;) if ((await handle.write(piece)).bytesWritten < bytes) break;
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' });
    }
  }
}

it.skipIf(!(await canMount()))(
  'A node whose disk is full answers callers it has never met, refuses further models with numbers, and takes them once there is room',
  async () => {
    const swarm = keep(await ProcessSwarm.create());
    const disk = path.join(swarm.folder, 'node');
    expect(await mountDisk(disk)).toBe(true);
    // Before the folder is removed; the node has it until it ends.
    keep({
      [Symbol.asyncDispose]: async () => void spawnSync('umount', ['--lazy', disk]),
    });
    await swarm.startNode('node');
    const { reference } = await swarm.publish('add', { 'model.onnx': addModel() });
    const infer = async () => swarm.run(['infer', reference, '--request', '-'], REQUEST);
    expect(await infer()).toMatchObject({ code: 0 });

    const rest = path.join(disk, 'rest');
    await fill(rest);
    const answered = await infer();
    expect(answered, answered.stderr).toMatchObject({ code: 0 });
    await expect(swarm.publish('more', { 'model.onnx': addModel(2) })).rejects.toThrow(
      /needs [\d.]+ \w+ of disk, found 0 B/,
    );

    await rm(rest);
    const { replicas } = await swarm.publish('more', { 'model.onnx': addModel(2) });
    expect(replicas).toHaveLength(1);
    expect(await infer()).toMatchObject({ code: 0 });
  },
);
