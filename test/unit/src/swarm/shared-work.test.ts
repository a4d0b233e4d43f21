import { describe, expect, it } from 'vitest';
import { SharedWork } from '../../../../src/swarm/shared-work.ts';

const never = (): AbortSignal => new AbortController().signal;

describe('SharedWork', () => {
  it('does the work of a key once for all who want it at once, and again for who comes later', async () => {
    const shared = new SharedWork<number>(5_000);
    let times = 0;
    const work = async (): Promise<number> => {
      times += 1;
      await new Promise(setImmediate);
      return times;
    };
    const all = [1, 2, 3].map(async () => shared.run('a', work, never()));
    expect(shared.isUnderway('a')).toBe(true);
    expect(await Promise.all(all)).toEqual([1, 1, 1]);
    expect(shared.isUnderway('a')).toBe(false);
    expect(await shared.run('a', work, never())).toBe(2);
    expect(await shared.run('b', work, never())).toBe(3);
  });

  it('lets one give up without ending it for the others', async () => {
    const shared = new SharedWork<string>(5_000);
    const { promise, resolve } = Promise.withResolvers<string>();
    const caller = new AbortController();
    const impatient = shared.run('a', async () => promise, caller.signal);
    const patient = shared.run('a', async () => promise, never());
    caller.abort(new Error('enough'));
    await expect(impatient).rejects.toThrow('enough');
    resolve('done');
    expect(await patient).toBe('done');
  });

  it('rejects all when the work fails, and forgets it', async () => {
    const shared = new SharedWork<string>(5_000);
    const fail = async (): Promise<string> => {
      throw new Error('broken');
    };
    const all = [1, 2].map(async () => shared.run('a', fail, never()));
    await expect(Promise.all(all)).rejects.toThrow('broken');
    expect(await shared.run('a', async () => 'whole', never())).toBe('whole');
  });

  it('ends the work at its own time limit', async () => {
    const shared = new SharedWork<string>(1);
    const slow = async (signal: AbortSignal): Promise<string> =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    await expect(shared.run('a', slow, never())).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  it('begins nothing for a caller that has given up already', async () => {
    const shared = new SharedWork<string>(5_000);
    await expect(
      shared.run('a', async () => 'x', AbortSignal.abort(new Error('gone'))),
    ).rejects.toThrow('gone');
    expect(shared.isUnderway('a')).toBe(false);
  });
});
