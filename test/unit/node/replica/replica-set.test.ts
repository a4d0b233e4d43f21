import pino from 'pino';
import { afterEach, describe, expect, it, type MockInstance, vi } from 'vitest';
import type { LoadOptions, ModelFiles } from '../../../../node/backend/backend.ts';
import { CoreTurns } from '../../../../node/backend/core-turns.ts';
import { GpuMemory } from '../../../../node/device/gpu-memory.ts';
import type { ReplicaFetchOptions } from '../../../../node/replica/replica-fetch.ts';
import type { AllowList } from '../../../../node/node-init.ts';
import { NodePolicy } from '../../../../node/node-policy.ts';
import { ReplicaSet } from '../../../../node/replica/replica-set.ts';
import type { ReplicaSetComponents } from '../../../../node/replica/replica-set-init.ts';
import { VersionExperience } from '../../../../node/replica/version-experience.ts';
import type { WantedVersion } from '../../../../node/store/wanted-versions.ts';
import { ExecutionError, InvalidModelError } from '../../../../protocols/errors.ts';
import { Tensor } from '../../../../protocols/tensor.ts';
import type { PublisherId, VersionCid } from '../../../../protocols/types.ts';
import { QUARANTINE_MS } from '../../../../src/policy/quarantine.ts';
import { echoModel } from '../../../support/echo-model.ts';
import { FakeBackend, type FakeModel } from '../../../support/fake-backend.ts';
import { bareManifest, createModelFolder } from '../../../support/model-folder.ts';
import { present } from '../../../support/present.ts';

const GIB = 1024 ** 3;
const PUBLISHER = 'publisher' as PublisherId;
const version = (name: string) => name as VersionCid;

class CountingBackend extends FakeBackend {
  readonly models: FakeModel[] = [];
  /** Those of each model, the probe's included. */
  readonly runs: MockInstance<FakeModel['run']>[] = [];
  readonly loads: (LoadOptions | undefined)[] = [];
  failure: Error | undefined;

  override async load(files: ModelFiles, options?: LoadOptions): Promise<FakeModel> {
    this.loads.push(options);
    if (this.failure !== undefined) throw this.failure;
    const model = await super.load(files, options);
    this.runs.push(vi.spyOn(model, 'run'));
    this.models.push(model);
    return model;
  }
}

/** What is special about the versions of a set. */
interface PreparedSet {
  readonly retired: readonly string[];
  /** Those that were left on the disk alone before the restart. */
  readonly cold: readonly string[];
  /** Stands in for a fetch that takes its time. */
  readonly fetch: (signal: AbortSignal) => Promise<void>;
  readonly allowTasks: AllowList;
}

/** A set that finds `names` on its disk when it starts; what of a node is not looked at is not there. */
async function prepare(
  names: readonly string[],
  maxMemoryBytes = GIB,
  failure?: Error,
  { retired = [], cold = [], fetch, allowTasks = 'any' }: Partial<PreparedSet> = {},
) {
  const folder = await createModelFolder(echoModel({ x: { datatype: 'FP32', shape: ['n'] } }));
  const { directory } = folder.files;
  const manifest = bareManifest(folder.files);
  const backend = new CountingBackend({ provider: 'cpu' });
  backend.failure = failure;
  const removed: string[] = [];
  const wanted = new Map<string, boolean>();
  const stubs = {
    peer: {
      libp2p: { contentRouting: { provide: async () => {} } },
      releases: { cached: () => undefined },
    },
    store: {
      wanted: async () =>
        names.map((name) => ({
          ...{ publisher: PUBLISHER, name, cid: version(name), release: null },
          cold: cold.includes(name),
        })),
      want: async ({ cid, cold: isCold = false }: WantedVersion) => void wanted.set(cid, isCold),
      noteUse: () => {},
      unwant: async (cid: string) => removed.push(cid),
      remove: async (cid: string) => removed.push(cid),
    },
    fetcher: {
      fetch: async (_cid: VersionCid, { signal }: ReplicaFetchOptions) => {
        await fetch?.(signal);
        return { manifest, directory };
      },
    },
    releases: { learn: () => {}, adopt: () => {} },
  };
  const policy = new NodePolicy(
    { allowPublishers: 'any', allowVersions: 'any', allowTasks },
    { cordoned: false, pinned: [], forbidden: [] },
  );
  const set = new ReplicaSet(
    {
      ...(stubs as unknown as ReplicaSetComponents),
      ...{ backend, policy },
      gpus: new GpuMemory(),
      experience: new VersionExperience(),
      cores: new CoreTurns(1),
      changed: () => {},
    },
    {
      maxQueued: 10,
      executionLimitMs: 1_000,
      maxMemoryBytes,
      threads: 1,
      logger: pino({ level: 'silent' }),
    },
  );
  await set.restore(async (cid) => retired.includes(cid));
  const become = async (name: string, state: string) =>
    vi.waitFor(() => expect(set.get(version(name))?.state).toBe(state));
  return {
    set,
    backend,
    removed,
    wanted,
    become,
    async [Symbol.asyncDispose]() {
      await set.stop();
      await folder[Symbol.asyncDispose]();
    },
  };
}

describe('ReplicaSet', () => {
  afterEach(() => void vi.useRealTimers());

  it('brings back after a restart what fits, and leaves the rest on the disk', async () => {
    await using made = await prepare(['a', 'b'], 170 * 1024 * 1024);
    await vi.waitFor(() =>
      expect(made.set.replicas.map(({ state }) => state).toSorted()).toEqual(['cold', 'ready']),
    );
    expect(made.backend.models).toHaveLength(1);
  });

  it('keeps on the disk what worked before a restart and does not after it', async () => {
    const broken = new InvalidModelError('no kernel on a broken driver');
    await using made = await prepare(['a'], GIB, broken);
    await vi.waitFor(() =>
      expect(made.set.announced()).toMatchObject([{ state: 'gone', note: broken.message }]),
    );
    expect(made.removed).toEqual([]);
  });

  it('loads nothing from the disk that does what its node does not run any more, and removes none of it', async () => {
    await using made = await prepare(['a', 'b'], GIB, undefined, {
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
    await using made = await prepare(['a']);
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
    await using made = await prepare(['a']);
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
    await using made = await prepare(['a']);
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
    await using made = await prepare(['a']);
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
    await using made = await prepare(['a']);
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
    await using made = await prepare(['a']);
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
    await using made = await prepare(['a']);
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
    await using made = await prepare(['a', 'b']);
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
    await using made = await prepare(['a', 'b'], GIB, undefined, { retired: ['b'] });
    const { set, backend, become } = made;
    await become('a', 'ready');
    expect(set.get(version('b'))?.state).toBe('cold');
    expect(backend.models).toHaveLength(1);
    set.wake(version('b'));
    await become('b', 'ready');
  });

  it('forgets a cold version whose files are gone, and never one in memory', async () => {
    await using made = await prepare(['a']);
    await made.become('a', 'ready');
    made.set.forget(version('a'));
    expect(made.set.get(version('a'))?.state).toBe('ready');
    await made.set.sleep(version('a'));
    made.set.forget(version('a'));
    expect(made.set.get(version('a'))).toBeUndefined();
    expect(made.set.announced()).toMatchObject([{ cid: 'a', state: 'gone' }]);
  });

  it('claims a version once and leaves it to the disk, over a restart too, until it is claimed or asked for again', async () => {
    await using made = await prepare([]);
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
    await using made = await prepare([], GIB, undefined, { fetch });
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

  it('keeps on the disk what was prefetched, and what was left there before a restart', async () => {
    await using made = await prepare(['b'], GIB, undefined, { cold: ['b'] });
    const { set, backend, wanted } = made;
    await set.keep({ publisher: PUBLISHER, name: 'a', cid: version('a') });
    expect(set.replicas.map(({ state }) => state)).toEqual(['cold', 'cold']);
    expect(wanted.get('a')).toBe(true);
    set.wakeAll();
    expect(backend.models).toHaveLength(0);
  });
});
