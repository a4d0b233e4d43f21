import { describe, expect, it, vi } from 'vitest';
import { BackgroundWork } from '../../../node/background-work.ts';

describe('BackgroundWork', () => {
  it('tells what fails, and goes on with the rest', async () => {
    const failures: unknown[] = [];
    const done: string[] = [];
    const work = new BackgroundWork((error) => failures.push(error));
    work.run(async () => {
      throw new Error('full');
    });
    work.run(async () => void done.push('other'));
    await vi.waitFor(() => expect(failures).toMatchObject([{ message: 'full' }]));
    expect(done).toEqual(['other']);
  });

  it('ends what is under way when its owner stops, waits for it, and tells no failure of that', async () => {
    const failures: unknown[] = [];
    const work = new BackgroundWork((error) => failures.push(error));
    let ended = false;
    work.run(async () => {
      await new Promise((resolve) => work.signal.addEventListener('abort', resolve));
      ended = true;
      work.signal.throwIfAborted();
    });
    await work.stop();
    expect(ended).toBe(true);
    expect(failures).toEqual([]);
  });
});
