import { describe, expect, it, vi } from 'vitest';
import { GIB, prepareSet, PUBLISHER, version } from '../../../support/prepared-set.ts';
import { present } from '../../../support/present.ts';

describe('ReplicaSet that follows demand', () => {
  it('claims a version once and leaves it to the disk, over a restart too, until it is claimed or asked for again', async () => {
    await using made = await prepareSet([]);
    const { set, backend, wanted, become } = made;
    const origin = { publisher: PUBLISHER, name: 'a', cid: version('a') };
    const claims = [1, 2].map(() => set.claim(origin, { peers: ['holder'], evict: false }));
    await Promise.all(claims);
    expect(set.get(origin.cid)?.state).toBe('ready');
    expect(backend.models).toHaveLength(1);
    expect(wanted.get('a')).toBe(false);
    await set.leave(origin.cid, 'enough of it');
    expect(set.announced()).toMatchObject([{ state: 'cold', note: 'enough of it' }]);
    expect(wanted.get('a')).toBe(true);
    set.wakeAll();
    set.revive(origin.cid);
    expect(set.get(origin.cid)?.state).toBe('cold');
    await set.claim(origin, { peers: [], evict: false });
    expect(set.get(origin.cid)?.state).toBe('ready');
    await vi.waitFor(() => expect(wanted.get('a')).toBe(false));
    await set.leave(origin.cid, 'enough of it');
    expect(set.wake(origin.cid)).toMatchObject({ code: 'ERR_LOADING' });
    await become('a', 'ready');
    await vi.waitFor(() => expect(wanted.get('a')).toBe(false));
    // Whoever it was woken for has not come yet.
    await set.leave(origin.cid, 'nobody asks for it');
    expect(set.get(origin.cid)?.state).toBe('ready');
    set.get(origin.cid)?.acquire()();
    await set.leave(origin.cid, 'nobody asks for it');
    expect(set.get(origin.cid)?.state).toBe('cold');
  });

  it('ends the fetch of a claim that is not wanted any more', async () => {
    const begun = Promise.withResolvers<void>();
    const fetch = (signal: AbortSignal) =>
      new Promise<void>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
        begun.resolve();
      });
    await using made = await prepareSet([], GIB, undefined, { fetch });
    const { set, removed } = made;
    const origin = { publisher: PUBLISHER, name: 'a', cid: version('a') };
    const claim = set.claim(origin, { peers: [], evict: false });
    await begun.promise;
    await set.leave(version('a'), 'others were first');
    await expect(claim).rejects.toMatchObject({ code: 'ERR_FORBIDDEN' });
    await vi.waitFor(() => expect(set.get(version('a'))).toBeUndefined());
    await vi.waitFor(() => expect(new Set(removed)).toEqual(new Set(['a'])));
    expect(set.announced()).toMatchObject([{ state: 'gone', note: 'others were first' }]);
  });

  it('loads nothing that is given up while its files are looked at, and loads it as ever when it is claimed again', async () => {
    const looking = [1, 2, 3].map(() => Promise.withResolvers<void>());
    const looks: AbortSignal[] = [];
    const fetch = async (signal: AbortSignal) => present(looking[looks.push(signal) - 1]).promise;
    await using made = await prepareSet([], GIB, undefined, { fetch });
    const { set, backend, wanted } = made;
    const origin = { publisher: PUBLISHER, name: 'a', cid: version('a') };
    await set.keep(origin);
    const claim = set.claim(origin, { peers: [], evict: false });
    await set.leave(origin.cid, 'others were first');
    looking[0]?.resolve();
    await expect(claim).rejects.toMatchObject({ message: 'others were first' });
    expect(set.announced()).toMatchObject([{ state: 'cold', note: 'others were first' }]);
    await vi.waitFor(() => expect(wanted.get('a')).toBe(true));
    expect(backend.models).toHaveLength(0);
    const again = set.claim(origin, { peers: [], evict: false });
    expect(looks[1]?.aborted).toBe(false);
    looking[1]?.resolve();
    await again;
    expect(set.get(origin.cid)?.state).toBe('ready');
    await set.leave(origin.cid, 'enough of it');
    const expelled = set.claim(origin, { peers: [], evict: false });
    const gone = set.expel(origin.cid, 'its operator forbids it');
    looking[2]?.resolve();
    await expect(expelled).rejects.toMatchObject({ message: 'its operator forbids it' });
    await gone;
    expect(set.get(origin.cid)).toBeUndefined();
    expect(made.removed).toEqual(['a']);
  });

  it('leaves on the disk, whole as it is, what is given up before it is loaded after a restart', async () => {
    const looking = Promise.withResolvers<void>();
    await using made = await prepareSet(['a'], GIB, undefined, { fetch: () => looking.promise });
    const { set, backend, wanted, become } = made;
    await set.leave(version('a'), 'others were first');
    looking.resolve();
    await become('a', 'cold');
    await vi.waitFor(() => expect(wanted.get('a')).toBe(true));
    expect(backend.models).toHaveLength(0);
  });

  it('keeps on the disk what was prefetched, and what was left there before a restart', async () => {
    await using made = await prepareSet(['b'], GIB, undefined, { cold: ['b'] });
    const { set, backend, wanted } = made;
    await set.keep({ publisher: PUBLISHER, name: 'a', cid: version('a') });
    expect(set.replicas.map(({ state }) => state)).toEqual(['cold', 'cold']);
    expect(wanted.get('a')).toBe(true);
    set.wakeAll();
    expect(backend.models).toHaveLength(0);
  });
});
