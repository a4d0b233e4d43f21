import { afterEach, describe, expect, it, vi } from 'vitest';
import { ExecutionError, InvalidModelError } from '../../../../protocols/errors.ts';
import { Tensor } from '../../../../protocols/tensor.ts';
import { QUARANTINE_MS } from '../../../../src/policy/quarantine.ts';
import { GIB, prepareSet, version } from '../../../support/prepared-set.ts';
import { present } from '../../../support/present.ts';

describe('ReplicaSet', () => {
  afterEach(() => void vi.useRealTimers());

  it('brings back after a restart what fits, and leaves the rest on the disk', async () => {
    await using made = await prepareSet(['a', 'b'], 170 * 1024 * 1024);
    await vi.waitFor(() =>
      expect(made.set.replicas.map(({ state }) => state).toSorted()).toEqual(['cold', 'ready']),
    );
    expect(made.backend.models).toHaveLength(1);
  });

  it('keeps on the disk what worked before a restart and does not after it', async () => {
    const broken = new InvalidModelError('no kernel on a broken driver');
    await using made = await prepareSet(['a'], GIB, broken);
    await vi.waitFor(() =>
      expect(made.set.announced()).toMatchObject([{ state: 'gone', note: broken.message }]),
    );
    expect(made.removed).toEqual([]);
  });

  it('loads nothing from the disk that does what its node does not run any more, and removes none of it', async () => {
    await using made = await prepareSet(['a', 'b'], GIB, undefined, {
      ...{ cold: ['b'], allowTasks: ['image-classification'] },
    });
    const { set, backend, removed } = made;
    await vi.waitFor(() => expect(set.get(version('a'))).toBeUndefined());
    set.wake(version('b'));
    await vi.waitFor(() => expect(set.get(version('b'))).toBeUndefined());
    expect(set.announced()).toMatchObject(
      ['a', 'b'].map((cid) => ({ cid, state: 'gone', note: expect.stringContaining('task') })),
    );
    expect(backend.models).toHaveLength(0);
    expect(removed).toEqual([]);
  });

  it('quarantines a version that is given up, announces why, and lets it be tried again when the time is over', async () => {
    await using made = await prepareSet(['a']);
    const { set, backend, become } = made;
    await become('a', 'ready');
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    present(backend.models[0]).fail('2 crashes\nin a row');
    expect(set.announced()).toMatchObject([{ state: 'quarantined', note: '2 crashes in a row' }]);
    expect(set.wake(version('a'))).toMatchObject({
      code: 'ERR_NOT_FOUND',
      message: 'this node does not serve version a for now: 2 crashes in a row',
    });
    await vi.advanceTimersByTimeAsync(QUARANTINE_MS - 1);
    expect(set.get(version('a'))?.state).toBe('quarantined');
    expect(set.ledger.usedBytes('host')).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(set.announced()).toMatchObject([
      { state: 'cold', note: 'was in quarantine: 2 crashes in a row' },
    ]);
    vi.useRealTimers();
    set.wake(version('a'));
    set.wake(version('a'));
    await become('a', 'ready');
    expect(backend.models).toHaveLength(2);
    expect(set.get(version('a'))?.note).toBeNull();
  });

  it('quarantines a version that cannot be loaded again, twice as long the second time', async () => {
    await using made = await prepareSet(['a']);
    const { set, backend, become } = made;
    await become('a', 'ready');
    await set.sleep(version('a'));
    backend.failure = new Error('no such symbol');
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    set.wake(version('a'));
    const quarantined = () => set.get(version('a'))?.state === 'quarantined';
    for (let turn = 0; turn < 50 && !quarantined(); turn += 1) await vi.advanceTimersByTimeAsync(1);
    expect(set.announced()).toMatchObject([{ state: 'quarantined', note: 'no such symbol' }]);
    await vi.advanceTimersByTimeAsync(QUARANTINE_MS);
    set.wake(version('a'));
    for (let turn = 0; turn < 50 && !quarantined(); turn += 1) await vi.advanceTimersByTimeAsync(1);
    await vi.advanceTimersByTimeAsync(2 * QUARANTINE_MS - 100);
    expect(quarantined()).toBe(true);
    await vi.advanceTimersByTimeAsync(200);
    expect(set.get(version('a'))?.state).toBe('cold');
  });

  it('takes a version out of memory only when what it runs is done', async () => {
    await using made = await prepareSet(['a']);
    const { set, backend, become } = made;
    await become('a', 'ready');
    const replica = present(set.get(version('a')));
    expect(replica.standing.busy).toBe(false);
    replica.expect(60_000);
    expect(replica.standing.busy).toBe(true);
    const release = replica.acquire();
    expect(replica.standing.busy).toBe(true);
    release();
    release();
    expect(replica.standing.busy).toBe(false);
    await set.sleep(version('a'));
    expect(present(backend.models[0]).state).toBe('unloaded');
    expect([replica.model, replica.queue]).toEqual([undefined, undefined]);
  });

  it('gives back the memory of what left and keeps that of what came, when one comes before the other is gone', async () => {
    await using made = await prepareSet(['a']);
    const { set, backend, become } = made;
    await become('a', 'ready');
    const first = present(backend.models[0]);
    const unloading = Promise.withResolvers<void>();
    const unload = first.unload.bind(first);
    first.unload = async () => {
      await unloading.promise;
      await unload();
    };
    const left = set.sleep(version('a'));
    set.wake(version('a'));
    await become('a', 'ready');
    expect(set.ledger.usedBytes('host')).toBe(2 * first.memoryBytes);
    unloading.resolve();
    await left;
    expect(set.ledger.usedBytes('host')).toBe(first.memoryBytes);
  });

  it('tries anew neither what batches it runs in nor what kills it when it is loaded again', async () => {
    await using made = await prepareSet(['a']);
    const { set, backend, become } = made;
    await become('a', 'ready');
    expect(present(backend.runs[0]).mock.calls.length).toBeGreaterThan(0);
    const x = Tensor.from('FP32', [1], [13]);
    const submit = async () =>
      present(set.get(version('a'))?.queue).submit([{ name: 'x', tensor: x }]);
    for (let death = 0; death < 2; death += 1) {
      const died = new ExecutionError('killed', { details: { endedProcess: true } });
      present(backend.runs[0]).mockRejectedValueOnce(died);
      await expect(submit()).rejects.toBe(died);
    }
    await set.sleep(version('a'));
    set.wake(version('a'));
    await become('a', 'ready');
    expect(present(backend.runs[1])).not.toHaveBeenCalled();
    await expect(submit()).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' });
  });

  it('loads nothing while it rests, and what fits when it rises', async () => {
    await using made = await prepareSet(['a']);
    const { set, backend, become } = made;
    await become('a', 'ready');
    set.rest('late');
    await become('a', 'cold');
    set.wake(version('a'));
    await become('a', 'cold');
    expect(backend.models).toHaveLength(1);
    set.rise();
    await become('a', 'ready');
    expect(backend.models).toHaveLength(2);
  });

  it('loads a retired version when a channel points at it again or somebody asks, not because there is room', async () => {
    await using made = await prepareSet(['a']);
    const { set, backend, become } = made;
    await become('a', 'ready');
    await set.retire(version('a'));
    expect(set.get(version('a'))?.state).toBe('cold');
    set.wakeAll();
    expect(set.get(version('a'))?.state).toBe('cold');
    set.revive(version('a'));
    await become('a', 'ready');
    await set.retire(version('a'));
    expect(set.wake(version('a'))).toMatchObject({ code: 'ERR_LOADING' });
    await become('a', 'ready');
    expect(backend.models).toHaveLength(3);
  });

  it('loads after a rest what was pointed at again during it, and leaves what only left for want of memory to its callers', async () => {
    await using made = await prepareSet(['a', 'b']);
    const { set, become } = made;
    await become('a', 'ready');
    await become('b', 'ready');
    await set.retire(version('a'));
    set.rest('late');
    await become('b', 'cold');
    set.revive(version('a'));
    expect(set.get(version('a'))?.state).toBe('cold');
    set.rise();
    await become('a', 'ready');
    await become('b', 'ready');
    await set.sleep(version('b'));
    set.revive(version('b'));
    expect(set.get(version('b'))?.state).toBe('cold');
  });

  it('holds after a restart on the disk alone what is retired by then, and loads it when it is asked for', async () => {
    await using made = await prepareSet(['a', 'b'], GIB, undefined, { retired: ['b'] });
    const { set, backend, become } = made;
    await become('a', 'ready');
    expect(set.get(version('b'))?.state).toBe('cold');
    expect(backend.models).toHaveLength(1);
    set.wake(version('b'));
    await become('b', 'ready');
  });

  it('forgets a cold version whose files are gone, and never one in memory', async () => {
    await using made = await prepareSet(['a']);
    await made.become('a', 'ready');
    made.set.forget(version('a'));
    expect(made.set.get(version('a'))?.state).toBe('ready');
    await made.set.sleep(version('a'));
    made.set.forget(version('a'));
    expect(made.set.get(version('a'))).toBeUndefined();
    expect(made.set.announced()).toMatchObject([{ cid: 'a', state: 'gone' }]);
  });
});
