import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { NodePause } from '../../../node/node-pause.ts';
import { createTestFolder } from '../../support/test-folder.ts';

async function open(folder: string) {
  const told: (string | undefined)[] = [];
  const pause = await NodePause.open({
    file: path.join(folder, 'paused'),
    onChange: (reason) => told.push(reason),
  });
  return { pause, told };
}

describe('NodePause', () => {
  it("keeps the owner's word over restarts, until he takes it back", async () => {
    await using folder = await createTestFolder();
    const first = await open(folder.path);
    first.pause.check();
    await first.pause.pause();
    await first.pause.pause();
    expect(first.told).toEqual(['its owner paused it']);
    const second = await open(folder.path);
    expect(second.told).toEqual([]);
    expect(() => second.pause.check()).toThrow('this node is paused: its owner paused it');
    await second.pause.resume();
    await second.pause.resume();
    expect(second.told).toEqual([undefined]);
    expect(await readdir(folder.path)).toEqual([]);
    expect((await open(folder.path)).pause.reason).toBeUndefined();
  });

  it('serves when no cause is left, and keeps none but the owner’s', async () => {
    await using folder = await createTestFolder();
    const { pause, told } = await open(folder.path);
    pause.set('hours', 'late');
    pause.set('yield', 'game');
    await pause.resume();
    pause.set('hours', undefined);
    pause.set('hours', undefined);
    pause.set('yield', undefined);
    expect(told).toEqual(['late', 'late; game', 'game', undefined]);
    pause.set('hours', 'late');
    expect((await open(folder.path)).pause.reason).toBeUndefined();
  });

  it('says to whoever is refused when to ask again', async () => {
    await using folder = await createTestFolder();
    const { pause } = await open(folder.path);
    pause.set('hours', 'late');
    expect(() => pause.check()).toThrow(
      expect.objectContaining({ code: 'ERR_BUSY', retryAfterMs: 10_000 }),
    );
  });
});
